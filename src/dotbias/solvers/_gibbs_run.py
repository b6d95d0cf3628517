"""One fit from start to end, as a machine that can stop after any sweep and go on later.

    search -> settle -> draw

*search*: a slice of train is held out and the noise precision climbs its ladder; *settle*: on the best rung, a longer
run says how wide predictions are; *draw*: the slice is put back, samples are kept. With the precision given, or drawn
in sample, a run starts at *draw*. Everything that a later sweep needs is in :attr:`Run.memory` and the chain's arrays,
so that a checkpoint taken after any sweep goes on to the same bits. This module works on standardised ratings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..posterior import slices
from . import _gibbs_noise as noise
from ._gibbs_chain import Chain, Prior, Problem, effective, sweep

RUNG = 40  # sweeps a rung, of which the first few are not counted
SKIP = 5
SETTLE = 64
BURN = {"warm": 10, "cold": 60}  # sweeps not kept before drawing, after a search and without one
BATCH = 10  # sweeps between looks at whether more would help
LEAST, MOST = 60, 600  # kept sweeps, where the run stops by itself
NAN = float("nan")
TOLERANCE = 0.001  # stop when more sweeps could lower the error by no more than this share


class Probe(NamedTuple):
    """Pairs that are scored after every sweep: rows (n,), days (n,) (-1: none), standardised values (n,)."""

    users: np.ndarray
    items: np.ndarray
    days: np.ndarray
    values: np.ndarray
    levels: np.ndarray


class Sweep(NamedTuple):
    """What a progress function is told after each sweep.

    Attributes:
        phase: "search", "settle" or "draw".
        sweep: how many sweeps are done in all.
        kept: how many of them count towards the result.
        noise: the noise precision, on standardised ratings.
        error: mean squared error of the held-out slice so far, standardised; NaN in the phases without one.
    """

    phase: str
    sweep: int
    kept: int
    noise: float
    error: float


@dataclass
class Run:
    """A fit under way.

    Attributes:
        searching, full: the problem without the slice (None: no search), and whole.
        probe: the slice, or other pairs whose scores are watched.
        key: of all draws.
        n_sweeps: sweeps to keep, None to stop by itself.
        keep: how many samples to keep of them.
        precision: the noise precision to hold; None: drawn in sample, unless a search finds one.
        chain: where the chain stands.
        memory: numbers, lists and arrays that the phases need.
        samples: kept samples, each a dict of arrays.
        trace: a row per kept sweep.
    """

    searching: Problem | None
    full: Problem
    probe: Probe
    key: int
    n_sweeps: int | None
    keep: int
    precision: float | None
    prior: Prior
    take: Callable[[Problem, Chain], dict[str, np.ndarray]]
    chain: Chain
    memory: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, np.ndarray]] = field(default_factory=list)
    trace: list[np.ndarray] = field(default_factory=list)

    def begin(self, stars: np.ndarray, edges: np.ndarray) -> None:
        """Set the first phase. ``stars`` and ``edges`` between them (standardised; empty where values are many)."""
        phase = "search" if self.searching is not None else "draw"
        self.memory = {
            "phase": phase,
            "done": 0,
            "precisions": [],
            "errors": [],
            "batches": [],
            "stars": stars,
            "edges": edges,
        }
        self.memory |= {"burn": BURN["cold"], "error": NAN, "noise": NAN, "star_noise": NAN, "cutpoints": np.zeros(0)}
        self.memory["stride"] = 1 if self.n_sweeps is None else -(-self.n_sweeps // self.keep)
        self.halves = noise.Halves(len(self.probe.values), RUNG - SKIP)

    def step(self) -> bool:
        """One sweep and what follows from it; False once the fit is done."""
        phase = self.memory["phase"]
        sweep(
            self.full if phase == "draw" else self.searching or self.full,
            self.chain,
            key=self.key,
            noise=self._precision(),
            prior=self.prior,
            learn_steps=phase != "draw" or self.memory["done"] < self.memory["burn"],
        )
        self.memory["done"] += 1
        return {"search": self._search, "settle": self._settle, "draw": self._draw}[phase]()

    def progress(self) -> Sweep:
        """Where the fit stands."""
        m = self.memory
        kept = len(self.trace)
        return Sweep(m["phase"], self.chain.sweep - 1, kept, self.chain.precision, m["error"])

    def _precision(self) -> float | None:
        m = self.memory
        if m["phase"] == "search" and not m["precisions"]:
            return 1.0  # warming up: the ratings' own variance
        return m["precisions"][-1] if m["phase"] == "search" else self.precision

    def _search(self) -> bool:
        m = self.memory
        warming = not m["precisions"]
        if m["done"] > SKIP:
            self.halves.add(self._said(self.scores(self.searching)))
        if m["done"] < RUNG:
            return True
        error = self.halves.error(self.probe.values)
        if warming:
            m["precisions"].append(0.9 / max(error, 1e-6))
        else:
            m["errors"].append(error)
            m["error"] = min(m["errors"])
            if not noise.climbing(m["errors"]):
                return self._enter_settle()
            m["precisions"].append(m["precisions"][-1] * noise.FACTOR)
        m["done"], self.halves = 0, noise.Halves(len(self.probe.values), RUNG - SKIP)
        return True

    def _said(self, f: np.ndarray) -> np.ndarray:
        """What f (n,) amounts to as a rating: itself, or with ordinal output the expected star."""
        c = self.chain
        if not len(c.cutpoints):
            return f
        return slices(f, np.full(len(f), 1 / c.precision), c.cutpoints[1:-1]) @ self.memory["stars"]

    def _enter_settle(self) -> bool:
        m = self.memory
        self.precision = noise.best_precision(m["precisions"], m["errors"])
        m["phase"], m["done"], self.halves = "settle", 0, noise.Halves(len(self.probe.values), SETTLE - SKIP)
        return True

    def _settle(self) -> bool:
        m = self.memory
        if m["done"] > SKIP:
            self.halves.add(self.scores(self.searching))
        if m["done"] < SETTLE:
            return True
        m["noise"] = noise.gaussian_noise(self.halves, self.probe.values)
        if len(self.probe.levels):
            self._read_stars()
        m["phase"], m["done"], m["burn"] = "draw", 0, BURN["warm"]
        return True

    def _read_stars(self) -> None:
        m, c = self.memory, self.chain.cutpoints[1:-1]
        edges = c if len(c) else m["edges"]
        guess = self.halves.mean(), self.halves.variance(), self.probe.levels, edges, m["noise"]
        m["star_noise"], m["cutpoints"] = noise.star_readout(*guess)

    def _draw(self) -> bool:
        m = self.memory
        kept = m["done"] - m["burn"]
        if kept <= 0:
            return True
        f = self.scores(self.full)
        self._watch(f)
        if (kept - 1) % m["stride"] == 0:
            self.samples.append(self.take(self.full, self.chain))
            if self.n_sweeps is None and len(self.samples) >= 2 * self.keep:
                self.samples, m["stride"] = self.samples[::2], 2 * m["stride"]
        if self.n_sweeps is not None:
            return kept < self.n_sweeps
        return kept < LEAST or (kept < MOST and not (kept % BATCH == 0 and self.settled()))

    def _watch(self, f: np.ndarray) -> None:
        kept = len(self.trace)
        batches = self.memory["batches"]
        if kept % BATCH == 0:
            batches.append(np.zeros(len(f)))
        batches[-1] += f / BATCH
        c = self.chain
        prior = [[1 / w.bias_precision, (1 / w.factor_precision[:, : c.n_factors]).sum(1)] for w in c.sides]
        hyper = np.concatenate([np.ravel(x) for side in prior for x in side])
        self.trace.append(np.concatenate([[c.mean, c.precision], np.sqrt(hyper), f[:8]]))

    def settled(self) -> bool:
        """Whether the error that more sweeps could still remove is small: the variance of the average's jitter.

        From two halves of the kept sweeps: E(f₁ - f₂)²/4 is the variance of the mean of all.
        """
        batches = np.array(self.memory["batches"])
        half = len(batches) // 2
        jitter = np.mean((batches[:half].mean(0) - batches[-half:].mean(0)) ** 2) / 4
        known = self.memory["error"]
        return bool(jitter <= TOLERANCE * (known if np.isfinite(known) else 1 / self.chain.precision))

    def scores(self, p: Problem | None) -> np.ndarray:
        """What the chain says now of the probe's pairs (n,), as of pairs outside the ratings."""
        p, q, c = p or self.full, self.probe, self.chain
        (bu, users), (bi, items) = (effective(p.sides[j], c.sides[j], held_out=True) for j in (0, 1))
        a, b = users[q.users], items[q.items]
        f = c.mean + bu[q.users] + bi[q.items] + np.einsum("nk,nk->n", a, b)
        for s, w, rows, others, say in zip(
            p.sides, c.sides, (q.users, q.items), (q.items, q.users), (b, a), strict=False
        ):
            if s.has_bag:
                f = f + _self_in_bag(s, w, rows, others, say)
        if len(p.sides) > 2:
            d = c.sides[2]
            known, rows = (q.days >= 0).astype(np.float32), np.maximum(q.days, 0)
            f = f + known * (d.bias[rows] + np.einsum("nk,nk->n", d.factors[rows], a + b))
        return f.astype(np.float64)


def _self_in_bag(s: Any, w: Any, rows: np.ndarray, others: np.ndarray, other_factors: np.ndarray) -> np.ndarray:
    """What a held-out pair adds by being in the row's bag itself (n,)."""
    n = np.diff(s.starts)[rows]
    say = w.feature_bias[others] + np.einsum("nk,nk->n", w.feature_factors[others], other_factors)
    return say / np.sqrt(n + 1)
