"""How fast ``dotbias serve`` answers: ``python -m bench serve`` (writes RESULTS.md; a quiet machine with wrk).

The server is a process of its own, client and server on one machine; users and histories are drawn uniformly at random,
nothing is cached. The model is planted: 10,000 items, 5,000 users, 500,000 ratings; als with 64 factors, gibbs with 16
and 100 samples. A request asks for a list of ten.

newcomers   histories of 10 items, folded in, at a fixed rate whatever the answers take; a time counts from when the
            request was due, so that a slow answer is not hidden by those that wait for it
known       users of train, from wrk's 8 connections, each asking anew when it is answered
refit       newcomers again, while ``refit`` fits the model anew as the server's own refits do, with a lower priority
memory      what the server's process holds, before and after so many requests of both kinds, from wrk

The processor's time is the server's, of both its modes, a request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import numpy as np

from dotbias.datasets import planted
from dotbias.fitters import find
from dotbias.recommender import Recommender

from .accuracy import machine, replace

START, END = "<!-- serve: written by python -m bench serve -->\n", "<!-- /serve -->\n"
N_ITEMS, N_USERS, N_RATINGS = 10_000, 5_000, 500_000
SETTINGS = {
    "als": {"n_factors": 64, "n_epochs": 5},
    "gibbs": {"n_factors": 16, "keep": 100, "n_sweeps": 100, "noise": 0.5},
}
RATES = {"als": 50, "gibbs": 30}  # newcomers a second
ASKED = {("als", "newcomers"): "p99 ≤ 20 ms", ("als", "known"): "≥ 500 a second", ("gibbs", "newcomers"): "p99 ≤ 50 ms"}
CONNECTIONS = 8
TICKS = 100  # of /proc, a second
LUA = """
math.randomseed(%d)
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local function history()
  local seen, said = {}, {}
  while #said < 10 do
    local item = math.random(%d)
    if not seen[item] then
      seen[item] = true
      said[#said + 1] = string.format('{"item":%%d,"rating":%%.1f}', item, math.random(10) / 2)
    end
  end
  return '{"history":[' .. table.concat(said, ",") .. ']}'
end
function request()
  if %s and math.random(2) == 1 then
    return wrk.format(nil, nil, nil, history())
  end
  return wrk.format(nil, nil, nil, '{"user":' .. math.random(%d) .. '}')
end
"""


class Load(NamedTuple):
    """What came of a load: requests, of them not answered with 200, seconds, milliseconds of p50 and p99."""

    n: int
    wrong: int
    seconds: float
    p50: float
    p99: float


class Server(NamedTuple):
    """A server that runs."""

    pid: int
    port: int
    folder: Path

    def processor(self) -> float:
        """Seconds so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> float:
        """Resident megabytes."""
        line = next(x for x in Path(f"/proc/{self.pid}/status").read_text().split("\n") if x.startswith("VmRSS"))
        return int(line.split()[1]) / 1e3


def make(name: str, folder: Path) -> None:
    """Fit and save the model that is served."""
    train = planted(N_USERS, N_ITEMS, n_ratings=N_RATINGS, n_factors=8, rng=0).ratings
    scorer = find(name).fit(train, rng=0, progress=False, **SETTINGS[name])
    settings = {"fitter": name, "seed": 0, **SETTINGS[name]}
    Recommender(scorer, train, settings=settings).save(folder)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    command = [sys.executable, "-m", "dotbias", "serve", str(folder), "--port", "0", "--json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        said = json.loads("".join(iter(child.stdout.readline, "}\n")) + "}")  # type: ignore[union-attr]
        yield Server(child.pid, int(said["address"].rsplit(":", 1)[1]), folder)
    finally:
        child.terminate()
        child.wait()


# Newcomers, at a fixed rate ------------------------------------------------------------------------------------


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    """One request on an open connection; the status."""
    head = ("POST /api/recommend HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json")
    writer.write("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:-2])
    await reader.readexactly(int(fields[b"content-length"]))
    return int(answer.split(b" ")[1])


async def at_rate(port: int, bodies: list[bytes], rate: float) -> Load:
    """So many requests a second, on at most 64 connections."""
    free: asyncio.Queue = asyncio.Queue()
    for _ in range(64):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    start, times, wrong = time.perf_counter() + 0.1, [], 0

    async def one(k: int, body: bytes) -> None:
        nonlocal wrong
        due = start + k / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = await free.get()
        wrong += await ask(*connection, body) != 200
        free.put_nowait(connection)
        times.append(1e3 * (time.perf_counter() - due))

    await asyncio.gather(*(one(k, body) for k, body in enumerate(bodies)))
    seconds = time.perf_counter() - start
    while not free.empty():
        free.get_nowait()[1].close()
    return Load(len(times), wrong, seconds, *np.percentile(times, [50, 99]))


def histories(n: int, rng: np.random.Generator) -> list[bytes]:
    """Of 10 items, uniform at random."""
    drawn = [(rng.choice(N_ITEMS, 10, replace=False) + 1, rng.integers(1, 11, 10) / 2) for _ in range(n)]
    said = ([{"item": int(i), "rating": float(r)} for i, r in zip(*d, strict=True)] for d in drawn)
    return [json.dumps({"history": history}).encode() for history in said]


def newcomers(server: Server, rate: float, seconds: float, rng: np.random.Generator) -> Load:
    return asyncio.run(at_rate(server.port, histories(int(rate * seconds), rng), rate))


def during_refit(server: Server, rate: float, rng: np.random.Generator, most: float) -> tuple[Load, float]:
    """Newcomers until a refit is over, at most so many seconds, and how long it took."""
    from dotbias.web import Store, refits

    store, ended = Store(f"sqlite:///{server.folder}.ratings.db"), []
    for user in range(N_USERS + 1, N_USERS + 101):
        items = rng.choice(N_ITEMS, 20, replace=False) + 1
        store.rate(str(user), [(str(item), float(rng.integers(1, 11)) / 2) for item in items])
    begun = time.perf_counter()
    fitting = Thread(target=lambda: ended.append((refits.refit(store, server.folder), time.perf_counter() - begun)))
    fitting.start()
    parts: list[Load] = []
    while fitting.is_alive() and sum(p.seconds for p in parts) < most:
        parts.append(newcomers(server, rate, 10, rng))
    fitting.join()
    store.close()
    if not ended[0][0]:
        raise RuntimeError("the refit failed: see the log above")
    n, wrong, seconds = (sum(p[k] for p in parts) for k in range(3))
    return Load(n, wrong, seconds, float(np.median([p.p50 for p in parts])), max(p.p99 for p in parts)), ended[0][1]


# As many as it answers, from wrk -------------------------------------------------------------------------------


def wrk(server: Server, seconds: float, *, seed: int = 0, mixed: bool = False) -> Load:
    """Known users; mixed: every other request a newcomer."""
    script = server.folder.with_suffix(".lua")
    script.write_text(LUA % (seed, N_ITEMS, "true" if mixed else "false", N_USERS))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{int(seconds)}s", "--latency", "-s", str(script)]
    done = subprocess.run([*command, f"http://127.0.0.1:{server.port}/api/recommend"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"wrk: {done.stderr or done.stdout}")
    return read(done.stdout)


def read(said: str) -> Load:
    """What wrk prints."""
    n = int(re.search(r"(\d+) requests in", said)[1])  # type: ignore[index]
    per_second = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]
    errors = re.findall(r"Non-2xx or 3xx responses: (\d+)|(?:connect|read|write|timeout) (\d+)", said)
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    p50, p99 = (re.search(rf"{p}%\s+([\d.]+)(us|ms|s)", said).groups() for p in (50, 99))  # type: ignore[union-attr]
    wrong = sum(int(a or b) for a, b in errors)
    return Load(n, wrong, n / per_second, *(float(x) * units[u] for x, u in (p50, p99)))


def memory(server: Server, n: int, seconds: float) -> tuple[Load, float, float]:
    """So many requests of both kinds, and the megabytes before and after them."""
    before, parts = server.memory(), []
    while sum(p.n for p in parts) < n:
        parts.append(wrk(server, seconds, seed=len(parts) + 1, mixed=True))
    n, wrong, took = (sum(p[k] for p in parts) for k in range(3))
    whole = Load(n, wrong, took, float(np.median([p.p50 for p in parts])), max(p.p99 for p in parts))
    return whole, before, server.memory()


# Written down --------------------------------------------------------------------------------------------------


def row(name: str, what: str, load: Load, processor: float, asked: str, more: str = "") -> str:
    speed = f"{load.n / load.seconds:.0f}"
    figures = f"{load.p50:.1f} | {load.p99:.1f} | {1e3 * processor / load.n:.2f} | {load.wrong} of {load.n:,}"
    line = f"| {name} | {what}{more} | {speed} | {figures} | {asked} |"
    print(line, flush=True)
    return line


def measured(server: Server, load: Callable[[], Load]) -> tuple[Load, float]:
    before = server.processor()
    return load(), server.processor() - before


def rows_of(name: str, a: argparse.Namespace) -> Iterator[str]:
    rng, rate = np.random.default_rng(0), RATES[name]
    with tempfile.TemporaryDirectory() as place:
        make(name, Path(place) / "model")
        with serving(Path(place) / "model") as server:
            wrk(server, 3, mixed=True)  # warm
            found = measured(server, lambda: newcomers(server, rate, a.seconds, rng))
            yield row(name, "newcomers", *found, ASKED.get((name, "newcomers"), ""), f", {rate} a second")
            found = measured(server, lambda: wrk(server, a.seconds))
            yield row(name, "known users", *found, ASKED.get((name, "known"), ""), f", {CONNECTIONS} connections")
            if name == "als" and a.requests:
                start = server.processor()
                load, before, after = memory(server, a.requests, min(a.seconds, 20))
                words = f", memory {before:.0f} MB before, {after:.0f} MB after"
                yield row(name, "both", load, server.processor() - start, "memory flat", words)
            if a.refit:
                start = server.processor()
                load, took = during_refit(server, rate, rng, a.refit)
                words = f", {rate} a second during a refit of {took:.0f} s"
                yield row(name, "newcomers", load, server.processor() - start, "", words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--only", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--seconds", type=float, default=30, help="of each load")
    parser.add_argument("--requests", type=int, default=100_000, help="for the memory; 0: not measured")
    parser.add_argument("--refit", type=float, default=300, help="at most so many seconds of load; 0: not measured")
    a = parser.parse_args()
    title = f"### `dotbias serve`: {N_ITEMS:,} items, {N_USERS:,} users, {N_RATINGS:,} ratings, lists of ten\n"
    head = ("model", "asked for", "a second", "p50, ms", "p99, ms", "processor, ms a request", "errors", "goal")
    lines = [title, f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [line for name in a.only for line in rows_of(name, a)]
    note = "Client and server on one machine; p99 of several loads is that of the worst of them."
    replace(a.write, "\n".join([*lines, "", note, "", machine()]), START, END)


if __name__ == "__main__":
    main()
