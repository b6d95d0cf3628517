"""How fast ``dotbias serve`` answers: newcomers and known users drawn at random, from this machine, nothing cached.

Open loop: requests are sent at a fixed rate whatever the answers take, and a time counts from when it was due, so that
a slow answer is not hidden by the ones that wait for it. Closed loop: so many connections, each asking anew when it is
answered. The model is planted: 10,000 items; als with 64 factors, gibbs with 16 and 100 samples.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dotbias import Recommender, planted
from dotbias.fitters import find

N_ITEMS, N_USERS, N_RATINGS = 10_000, 5_000, 500_000
SETTINGS = {
    "als": {"n_factors": 64, "n_epochs": 5},
    "gibbs": {"n_factors": 16, "keep": 100, "n_sweeps": 100, "noise": 0.5},
}


def make(name: str, folder: Path) -> Recommender:
    train = planted(N_USERS, N_ITEMS, n_ratings=N_RATINGS, n_factors=8, rng=0).ratings
    scorer = find(name).fit(train, rng=0, progress=False, **SETTINGS[name])
    door = Recommender(scorer, train, settings={"fitter": name})
    door.save(folder)
    return door


async def ask(reader, writer, body: bytes) -> int:
    """One request on an open connection; the status."""
    head = ("POST /api/recommend HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json")
    writer.write("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:-2])
    await reader.readexactly(int(fields[b"content-length"]))
    return int(answer.split(b" ")[1])


async def open_loop(port: int, bodies: list[bytes], rate: float) -> tuple[np.ndarray, int]:
    """Milliseconds from when each was due, and how many were not answered with 200."""
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
    return np.array(times), wrong


async def closed_loop(port: int, bodies: list[bytes], n: int) -> tuple[float, int]:
    """Requests a second of n connections, and how many were not answered with 200."""
    waiting, wrong = iter(bodies), 0

    async def one() -> None:
        nonlocal wrong
        connection = await asyncio.open_connection("127.0.0.1", port)
        for body in waiting:
            wrong += await ask(*connection, body) != 200

    start = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(n)))
    return len(bodies) / (time.perf_counter() - start), wrong


def newcomers(n: int, rng: np.random.Generator) -> list[bytes]:
    """Histories of 10 items, uniform at random."""
    drawn = [(rng.choice(N_ITEMS, 10, replace=False) + 1, rng.integers(1, 11, 10) / 2) for _ in range(n)]
    said = ([{"item": int(i), "rating": float(r)} for i, r in zip(*d, strict=True)] for d in drawn)
    return [json.dumps({"history": history}).encode() for history in said]


def known(n: int, rng: np.random.Generator) -> list[bytes]:
    return [json.dumps({"user": int(u)}).encode() for u in rng.integers(1, N_USERS + 1, n)]


def memory(pid: int) -> float:
    """Resident megabytes."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().split("\n") if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1e3


def run(name: str, seconds: float, rate: float) -> None:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        make(name, folder)
        command = [sys.executable, "-m", "dotbias", "serve", str(folder), "--port", "0", "--json"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            said = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")  # type: ignore[union-attr]
            port = int(said["address"].rsplit(":", 1)[1])
            asyncio.run(closed_loop(port, [*newcomers(20, rng), *known(20, rng)], 2))
            before = memory(server.pid)
            times, wrong = asyncio.run(open_loop(port, newcomers(int(rate * seconds), rng), rate))
            p50, p99 = np.percentile(times, [50, 99])
            print(
                f"{name}: newcomers at {rate:g}/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {wrong} errors of {len(times)}"
            )
            speed, wrong = asyncio.run(closed_loop(port, known(int(100 * seconds), rng), 8))
            print(f"{name}: known users: {speed:.0f} requests/s, {wrong} errors")
            print(f"{name}: resident {before:.0f} MB before, {memory(server.pid):.0f} MB after")
        finally:
            server.terminate()
            server.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--only", choices=list(SETTINGS))
    asked = parser.parse_args()
    print(f"load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, rate in (("als", 50), ("gibbs", 30)):
        if asked.only in (None, name):
            run(name, asked.seconds, rate)
    print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
