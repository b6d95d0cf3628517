"""From the runs of a fit to its Posterior: samples stacked, noise and stars on the ratings' scale, trace and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ...features import SHRINK
from ...posterior import Posterior, SessionPosterior, SidePosterior
from ...posterior.selection import selection
from ...trace import Trace
from .._threads import share
from . import kernels
from .prepare import Prepared
from .problem import Problem, ProblemSide
from .run import GibbsRun, Sample
from .widths import CARRY, Parts, Stated, moved, state

FEW = 10  # samples that say how strongly people choose what they like


def posterior(prepared: Prepared, runs: list[GibbsRun], notes: Sequence[str]) -> Posterior:
    """The samples of all runs, with noise and stars as the first one found them."""
    run, state = runs[0], runs[0].state
    samples = [x for r in runs for x in r.state.samples] or [run.take(run.full, state.chain)]
    stated = Stated(*(getattr(state, name) for name in Stated._fields))
    fitted = assembled(prepared, run.full, samples, stated)
    return replace(fitted, trace=_trace(runs), notes=(*_notes(runs, float(fitted.fit_noise.mean())), *notes))


def calibrate(prepared: Prepared, parts: Parts, searching: Problem, samples: list[Sample]) -> Stated:
    """What the slices say of samples of the search."""
    edges = np.mean([x["cutpoints"] for x in samples], 0) if prepared.settings.ordinal else prepared.star_edges
    if parts.random.values is not None and not np.isin(parts.random.values, prepared.stars).all():
        edges = np.zeros(0)  # given ratings that are none of train's stars
    first = Stated(None, np.zeros(0), CARRY, None, np.zeros(len(edges)), [])
    return state(assembled(prepared, searching, samples, first), parts, edges)


def assembled(prepared: Prepared, problem: Problem, samples: list[Sample], stated: Stated) -> Posterior:
    """A Posterior of samples; what is not stated yet is as the chain has it."""
    arrays = {name: np.stack([s[name] for s in samples]) for name in samples[0]}
    fitted = float(np.mean([x["fit_noise"] for x in samples]))
    edges = np.mean(arrays["cutpoints"], 0) if prepared.settings.ordinal else prepared.star_edges
    cutpoints = edges if prepared.settings.ordinal else np.zeros(0)
    if len(stated.moves):
        cutpoints = moved(edges, stated.moves)
    counts = [np.diff(side.starts).astype(np.int32) for side in problem.sides[:2]]
    found = Posterior(
        mean=arrays["mean"],
        user_bias=arrays["user_bias"],
        item_bias=arrays["item_bias"],
        users=arrays["users"],
        items=arrays["items"],
        user_counts=counts[0],
        item_counts=counts[1],
        sessions=_sessions(prepared, arrays, stated.carry),
        fit_noise=arrays["fit_noise"],
        user_side=_side(prepared, 0, problem.sides[0], arrays),
        item_side=_side(prepared, 1, problem.sides[1], arrays),
        noise=fitted if stated.noise is None else stated.noise,
        star_noise=fitted if stated.star_noise is None else stated.star_noise,
        stars=prepared.stars if len(cutpoints) else np.zeros(0),
        cutpoints=cutpoints,
        ordinal=prepared.settings.ordinal,
        y_range=prepared.train.scale(),
        widths=stated.widths,
        held_out=dict(stated.kinds),
        tables=prepared.train.tables,
    )
    few = found.thin(FEW)
    users = few.user_rows(np.arange(few.users.shape[1]))
    summed = problem.summed or partial(scored, problem.sides[1])
    n = np.diff(problem.sides[0].starts), np.diff(problem.sides[1].starts)
    return replace(found, selection=selection(*users, few.items, n, summed, fitted))


def scored(s: ProblemSide, bias: np.ndarray, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Each item's Σ bias + user · item over its raters (R,); ``s`` and ``items`` may be of some items."""
    out = np.empty(s.n_rows)
    arrays = (np.ascontiguousarray(a, np.float32) for a in (bias, users, items))
    share(kernels.row_scores, s.n_rows, s.starts, s.near, *arrays, out)
    return out


def _side(prepared: Prepared, j: int, side: ProblemSide, arrays: dict[str, np.ndarray]) -> SidePosterior:
    """What newcomers of one side need; j: 0 for users, 1 for items."""
    name, table = ("user_side", "item_side")[j], prepared.tables[j]
    others = (prepared.train.item_ids, prepared.train.user_ids)[j]
    history = [f"rated={i}" for i in others] if side.has_history else []
    return SidePosterior(
        names=(*history, *(() if table is None else table.names)),
        groups=side.groups,
        scales=() if table is None else table.scales,
        features=arrays[f"{name}.features"],
        prior_mean=arrays[f"{name}.prior_mean"],
        prior_precision=arrays[f"{name}.prior_precision"],
        has_history=side.has_history,
        shrink=SHRINK,
        typical=side.typical,
    )


def _sessions(prepared: Prepared, arrays: dict[str, np.ndarray], carry: float) -> SessionPosterior:
    S, _, K = arrays["user_side.prior_mean"].shape
    if not len(prepared.sessions.users):
        return SessionPosterior.none(S, K - 1)
    precision = arrays["sessions.prior_precision"][:, 0]
    return SessionPosterior(prepared.sessions, arrays["sessions.effects"], precision, carry)


def _trace(runs: list[GibbsRun]) -> Trace:
    names, length = runs[0].trace_names(), min(len(r.state.trace) for r in runs)
    values = np.array([r.state.trace[:length] for r in runs], np.float32)
    return Trace(names, values.reshape(len(runs), length, len(names)))


def _notes(runs: list[GibbsRun], fitted: float) -> list[str]:
    """How the fit went, for people."""
    first, kept = runs[0], [len(r.state.trace) for r in runs]
    before = [r.state.chain.sweep - 1 - n for r, n in zip(runs, kept, strict=True)]
    notes = [f"{n} sweeps count, after {b} of search and warming up." for n, b in zip(kept, before, strict=True)]
    tried = len(first.state.errors)
    if tried:
        held_out = len(first.probe.values)
        notes.append(f"noise {fitted:.3g}, from {tried} noises tried on {held_out} ratings held out of train.")
    return notes
