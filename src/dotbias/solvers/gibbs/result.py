"""From the runs of a fit to its Posterior: samples stacked, noise and stars on the ratings' scale, trace and notes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...posterior import Posterior, SidePosterior
from ...trace import Trace
from .prepare import Prepared
from .problem import ProblemSide
from .run import GibbsRun, Sample


def posterior(prepared: Prepared, runs: list[GibbsRun], notes: Sequence[str]) -> Posterior:
    """The samples of all runs, with noise and stars as the first one found them."""
    run, state = runs[0], runs[0].state
    samples = [x for r in runs for x in r.state.samples] or [run.take(run.full, state.chain)]
    fitted = float(np.mean([x["fit_noise"] for x in samples]))
    star_noise, cutpoints = _stars(prepared, run, samples, fitted)
    arrays = {name: np.stack([s[name] for s in samples]) for name in samples[0]}
    return Posterior(
        mean=arrays["mean"],
        user_bias=arrays["user_bias"],
        item_bias=arrays["item_bias"],
        users=arrays["users"],
        items=arrays["items"],
        day_bias=arrays["day_bias"],
        day_factors=arrays["day_factors"],
        fit_noise=arrays["fit_noise"],
        user_side=_side(prepared, 0, run.full.sides[0], arrays),
        item_side=_side(prepared, 1, run.full.sides[1], arrays),
        days=prepared.days,
        noise=fitted if state.noise is None else float(prepared.spread * state.noise),
        star_noise=star_noise,
        stars=prepared.stars if len(cutpoints) else np.zeros(0),
        cutpoints=cutpoints,
        ordinal=prepared.settings.ordinal,
        y_range=prepared.train.scale(),
        tables=prepared.train.tables,
        trace=_trace(runs),
        notes=(*_notes(runs, fitted), *notes),
    )


def _stars(prepared: Prepared, run: GibbsRun, samples: list[Sample], fitted: float) -> tuple[float, np.ndarray]:
    """Noise and cutpoints of stars: as found on the slice, else (ordinal output) as sampled, else none."""
    state = run.state
    if state.star_noise is not None:
        return float(prepared.spread * state.star_noise), prepared.centre + prepared.spread * state.cutpoints
    if prepared.settings.ordinal:
        return fitted, np.mean([x["cutpoints"] for x in samples], 0)
    return fitted, np.zeros(0)


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
    )


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
