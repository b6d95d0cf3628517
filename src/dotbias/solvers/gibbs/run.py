"""One chain from start to end, as a machine that can stop after any sweep and go on later.

    search -> settle -> draw

*search*: slices of train are held out and the noise precision goes through its grid; *settle*: at the best precision, a
longer run says how wide predictions are, and how much of a session carries over; *draw*: the slices are put back,
samples are kept. With the precision given, or drawn in sample, a run starts at *draw*. Everything that a later sweep
needs is in :class:`GibbsState`, so that a checkpoint of it, taken after any sweep, goes on to the same bits. This
module works on standardised ratings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ...posterior import slices
from ...progress import Step
from . import noise
from .chain import Chain, HyperPrior, sweep
from .probe import Probe, scores
from .problem import Problem
from .widths import CARRY, Stated

POINT = 30  # sweeps at a point of the grid, of which the first few are not counted
SKIP = 5
SETTLE = 64
WARM, COLD = 10, 60  # sweeps not kept before drawing, after a search and without one
BATCH = 10  # sweeps between looks at whether more would help
LEAST, MOST = 60, 600  # kept sweeps, where the run stops by itself
TOLERANCE = 0.001  # stop when more sweeps could lower the error by no more than this share
TRACED = 8  # pairs whose scores are traced

Sample: TypeAlias = dict[str, np.ndarray]


@dataclass
class GibbsState:
    """Where a run stands: all that sweeps change.

    Attributes:
        chain: the parameters.
        halves: the probe's scores at this point of the grid.
        stride: of how many kept sweeps one is a sample.
        phase: "search", "settle" or "draw".
        precision: the noise precision to hold; None: drawn in sample, or not yet found.
        done: sweeps in this phase; in the search, at this point of the grid.
        burn: sweeps of the phase "draw" that are not kept.
        precisions: the grid so far, the last being under way.
        errors: the mean squared error on the probe at each of its points that is done.
        cutpoints: those of the chain at the end of each of these points; none if gaussian.
        noise, widths, carry, star_noise, moves, kinds: how predictions are stated, as in ``Stated``; noise None:
            not yet known.
        batches: mean scores of the probe (n,) over each ten kept sweeps.
        watched: (m,) sum of the watched pairs' expected ratings over the kept sweeps.
        trace: a row per kept sweep.
        samples: kept samples.
        finished: whether nothing is left to do.
    """

    chain: Chain
    halves: noise.Halves
    stride: int
    phase: str = "draw"
    precision: float | None = None
    done: int = 0
    burn: int = COLD
    precisions: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    cutpoints: list[np.ndarray] = field(default_factory=list)
    noise: float | None = None
    widths: np.ndarray = field(default_factory=lambda: np.zeros(0))
    carry: float = CARRY
    star_noise: float | None = None
    moves: np.ndarray = field(default_factory=lambda: np.zeros(0))
    kinds: list[Any] = field(default_factory=list)
    batches: list[np.ndarray] = field(default_factory=list)
    watched: np.ndarray = field(default_factory=lambda: np.zeros(0))
    trace: list[np.ndarray] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    finished: bool = False


@dataclass(frozen=True)
class GibbsRun:
    """What a run is of; its ``state`` is all that changes.

    Attributes:
        searching, full: the problem without the slice (None: no search), and whole.
        probe: the slice, or the pairs that were given for the search.
        watched: pairs whose error is reported and decides nothing, or None.
        key: of all draws.
        n_sweeps: sweeps to keep, None to stop by itself.
        keep: how many samples to keep of them.
        prior: of the hyper-parameters.
        stars: (L,) standardised; empty where values are many.
        valid_error: the watched pairs' expected ratings (m,), standardised -> RMSE on the ratings' scale.
        spread: standard deviation of the ratings, to state noise and errors on their scale.
        take: makes a sample.
        calibrate: says how predictions are stated, from samples of the search.
        state: where the run stands.
        draw: makes a sweep, as :func:`~dotbias.solvers.gibbs.chain.sweep` does.
    """

    searching: Problem | None
    full: Problem
    probe: Probe
    watched: Probe | None
    key: int
    n_sweeps: int | None
    keep: int
    prior: HyperPrior
    stars: np.ndarray
    valid_error: Callable[[np.ndarray], float]
    spread: float
    take: Callable[[Problem, Chain], Sample]
    calibrate: Callable[[Problem, list[Sample]], Stated]
    state: GibbsState
    draw: Callable[..., None] = sweep

    @property
    def n_steps(self) -> int | None:
        """How many sweeps the run will make in all; None: not yet known."""
        s = self.state
        if self.n_sweeps is None or s.phase != "draw":
            return None
        return s.chain.sweep - 1 - s.done + s.burn + self.n_sweeps

    def sweep(self) -> None:
        """One sweep and what follows from it."""
        s = self.state
        self.draw(
            self._problem(),
            s.chain,
            key=self.key,
            noise=self._precision(),
            prior=self.prior,
            learn_steps=s.phase != "draw" or s.done < s.burn,
        )
        s.done += 1
        {"search": self._search, "settle": self._settle, "draw": self._draw}[s.phase]()

    def step(self) -> Step:
        """The last sweep, as it is told: noise and errors (root mean squared) on the ratings' scale."""
        s = self.state
        starts = s.phase == "search" and not (s.precisions and (s.done or s.errors))
        values: dict[str, Any] = {"phase": "start" if starts else s.phase, "kept": len(s.trace)}
        values["noise"] = self.spread / s.chain.precision**0.5
        if s.errors:
            values["error"] = self.spread * max(min(s.errors), 0.0) ** 0.5
        if self.watched is not None and s.trace:
            values["valid"] = float(s.trace[-1][-1])
        return Step("sweep", s.chain.sweep - 1, self.n_steps, values)

    def trace_names(self) -> tuple[str, ...]:
        """What each number of a row of the trace is."""
        names = ["mean", "noise precision"]
        for side, word in zip(self.full.sides, ("users", "items", "sessions"), strict=False):
            groups = ["own", *(name for name, _, _ in side.groups)]
            names += [f"{word}: sd of {part} of {g}" for part in ("bias", "factors") for g in groups]
        names += [f"score of pair {j}" for j in range(min(TRACED, len(self.probe.values)))]
        return (*names, *(["error on valid"] if self.watched is not None else []))

    def _problem(self) -> Problem:
        return self.full if self.state.phase == "draw" else self.searching or self.full

    def _precision(self) -> float | None:
        s = self.state
        if s.phase != "search":
            return s.precision
        return s.precisions[-1] if s.precisions else 1.0  # before the grid: the ratings' own variance

    # Phases --------------------------------------------------------------------------------------------------------

    def _search(self) -> None:
        s = self.state
        if s.done > SKIP:
            s.halves.add(self._expected(scores(self._problem(), s.chain, self.probe)))
        if s.done < POINT:
            return
        error = s.halves.error(self.probe.values)
        if not s.precisions:
            s.precisions.append(0.9 / max(error, 1e-6))
        else:
            s.errors.append(error)
            s.cutpoints.append(s.chain.cutpoints.copy())
            if not noise.search_on(s.errors):
                s.precision = noise.best_precision(s.precisions, s.errors)
                s.chain.cutpoints[:] = s.cutpoints[int(np.argmin(s.errors))]  # they move slowly: near where they end
                self._enter("settle", SETTLE)
                return
            s.precisions.append(s.precisions[-1] * noise.FACTOR)
        self._enter("search", POINT)

    def _enter(self, phase: str, length: int) -> None:
        s = self.state
        s.phase, s.done, s.halves = phase, 0, noise.Halves.begin(len(self.probe.values), length - SKIP)

    def _settle(self) -> None:
        s = self.state
        if s.done > SKIP and s.done % 2 == 0:
            s.samples.append(self.take(self._problem(), s.chain))
        if s.done < SETTLE:
            return
        for name, value in self.calibrate(self._problem(), s.samples)._asdict().items():
            setattr(s, name, value)
        s.phase, s.done, s.burn, s.samples = "draw", 0, WARM, []

    def _draw(self) -> None:
        s = self.state
        kept = s.done - s.burn
        if kept <= 0:
            return
        self._trace()
        if (kept - 1) % s.stride == 0:
            s.samples.append(self.take(self.full, s.chain))
            if self.n_sweeps is None and len(s.samples) >= 2 * self.keep:
                s.samples, s.stride = s.samples[::2], 2 * s.stride
        s.finished = kept >= self.n_sweeps if self.n_sweeps is not None else self._enough(kept)

    def _trace(self) -> None:
        """Write down this sweep: hyper-parameters, some scores, the error on the watched pairs."""
        s, f = self.state, scores(self.full, self.state.chain, self.probe)
        if len(s.trace) % BATCH == 0:
            s.batches.append(np.zeros(len(f)))
        s.batches[-1] += f / BATCH
        c = s.chain
        prior = [[1 / w.bias_precision, (1 / w.factor_precision[:, : c.n_factors]).sum(1)] for w in c.sides]
        hyper = np.concatenate([np.ravel(x) for side in prior for x in side])
        s.trace.append(np.concatenate([[c.mean, c.precision], np.sqrt(hyper), f[:TRACED], self._watch()]))

    def _watch(self) -> list[float]:
        """The error of the average so far on the watched pairs; nothing where none are watched."""
        s = self.state
        if self.watched is None:
            return []
        s.watched += self._expected(scores(self.full, s.chain, self.watched))
        return [self.valid_error(s.watched / (len(s.trace) + 1))]

    def _expected(self, f: np.ndarray) -> np.ndarray:
        """The rating that f (n,) stands for: itself, or with ordinal output the expected star."""
        c = self.state.chain
        if not len(c.cutpoints):
            return f
        return slices(f, np.full(len(f), 1 / c.precision), c.cutpoints[1:-1]) @ self.stars

    def _enough(self, kept: int) -> bool:
        return kept >= MOST or (kept >= LEAST and kept % BATCH == 0 and self._settled())

    def _settled(self) -> bool:
        """Whether the error that more sweeps could still remove is small: the sampling variance of the average.

        From two halves of the kept sweeps: E(f₁ - f₂)²/4 is the variance of the mean of all.
        """
        s, batches = self.state, np.array(self.state.batches)
        half = len(batches) // 2
        variance = np.mean((batches[:half].mean(0) - batches[-half:].mean(0)) ** 2) / 4
        return bool(variance <= TOLERANCE * (min(s.errors) if s.errors else 1 / s.chain.precision))
