"""How it learned: losses, the sweep of the rate, the error against the number of factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ._page import BLUE, GREEN, ORANGE, caption, figure, paper, subtitle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


UNITS = {"epoch": "mean squared error, stars²", "pass": "RMSE, stars", "sweep": "RMSE, stars"}
READ = (
    "The train loss is the mean over an {step}, taken while the model still learned, so it stands in the middle of the "
    "{step}; {valid}"
)
VALID = "valid is measured at its end, by a model that has learned more: early on it lies below."


def losses(
    log: Sequence[Mapping[str, Any]],
    *,
    data: str = "",
    unit: str | None = None,
    valid: str = "valid",
) -> Figure:
    """The loss of train and valid, by epoch (or pass, or sweep); and the learning rate below, where the log has it.

    Args:
        log: a row per epoch: ``epoch``, ``train``, and where known ``valid``, ``batch_loss`` and ``lr`` (equally spaced
            through the epoch), as ``Learner.history`` or ``callbacks.Log`` keep them.
        data: what was learned from.
        unit: of the loss; by default that of the fitters that tell epochs, passes or sweeps.
        valid: what the validation rows were, for the legend.
    """
    rows = _need(log, "train")
    step = next((kind for kind in UNITS if kind in rows[0]), "epoch")
    with paper():
        has_rates, has_valid = (any(key in row for row in rows) for key in ("lr", "valid"))
        page = figure(7.2, 6.0 if has_rates else 4.8, "Loss while learning")
        axes = page.subplots(
            2 if has_rates else 1, 1, sharex=True, squeeze=False, height_ratios=[3, 1][: 1 + has_rates]
        )
        ax = axes[0, 0]
        _through(ax, rows, "batch_loss", color=BLUE, alpha=0.25, lw=1, label="train, batches")
        middles = [row[step] - 0.5 for row in rows]
        mark: dict[str, Any] = {"marker": "o"} if len(rows) < 40 else {}
        ax.plot(middles, [row["train"] for row in rows], color=BLUE, label=f"train, mean over the {step}", **mark)
        if has_valid:
            _draw_valid(ax, rows, step, valid)
        ax.set_ylabel(f"loss ({unit or UNITS[step]})")
        _frame(ax, rows)
        ax.legend()
        if has_rates:
            _through(axes[1, 0], rows, "lr", color=GREEN, lw=2)
            axes[1, 0].set(ylabel="learning rate", ylim=(0, None))
        axes[-1, 0].set_xlabel(step)
        axes[-1, 0].locator_params(axis="x", integer=True)
        subtitle(ax, f"{len(rows)} {step}{'e' * (step == 'pass')}s", data)
        caption(page, READ.format(step=step, valid=VALID) if has_valid else READ.format(step=step, valid="")[:-2] + ".")
    return page


def _draw_valid(ax: Axes, rows: Sequence[Mapping[str, Any]], step: str, name: str) -> None:
    known = [(row[step], row["valid"]) for row in rows if "valid" in row]
    at, lowest = min(known, key=lambda point: point[1])
    mark: dict[str, Any] = {"marker": "s"} if len(known) < 40 else {}
    ax.plot(*zip(*known, strict=True), color=ORANGE, label=name, **mark)
    ax.annotate(
        f"lowest: {lowest:.3f} ({step} {at})", (at, lowest), (0, 12), textcoords="offset points", ha="right",
        color=ORANGE, size=9,
    )  # fmt: skip


def _through(ax: Axes, rows: Sequence[Mapping[str, Any]], key: str, **style: Any) -> None:
    """A line through numbers spread evenly within each epoch."""
    points = [
        (row["epoch"] - 1 + (k + 0.5) / len(row[key]), v)
        for row in rows
        if "epoch" in row
        for k, v in enumerate(row.get(key, ()))
    ]
    if points:
        ax.plot(*zip(*points, strict=True), **style)


def _frame(ax: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Limits that show the epochs' losses, not the first batches'."""
    values = [row[k] for row in rows for k in ("train", "valid") if k in row]
    span = max(values) - min(values) or abs(max(values)) or 1.0
    ax.set_ylim(min(values) - 0.15 * span, max(values) + 0.15 * span)


def lr_sweep(sweep: Any, *, data: str = "") -> Figure:
    """The loss while the rate grows batch by batch; the suggestion stands where it still falls fast.

    Args:
        sweep: what ``Learner.lr_find`` returns.
        data: what was learned from.
    """
    with paper():
        page = figure(7.2, 4.4, "Learning-rate sweep")
        ax = page.subplots()
        ax.plot(sweep.lrs, sweep.losses, color=BLUE, alpha=0.25, lw=1, label="each batch")
        ax.plot(sweep.lrs, sweep.smooth, color=BLUE, lw=2, label="running mean")
        ax.axvline(sweep.suggestion, color=ORANGE, ls="--", label=f"suggestion: {sweep.suggestion:.2g}")
        start = float(np.median(sweep.losses[: max(len(sweep.losses) // 5, 3)]))
        low = float(np.min(sweep.smooth))
        ax.set(xscale="log", xlabel="learning rate (log scale)", ylabel="loss (mean squared error, stars²)")
        ax.set_ylim(max(low - 0.5 * (start - low), 0), start + 1.2 * (start - low + 1e-9))
        ax.legend(loc="lower left")
        subtitle(ax, f"{len(sweep.lrs):,} batches", data)
        caption(
            page,
            "Each batch is learned from at a higher rate than the one before. Take a rate where the loss "
            "falls fast, well before it rises.",
        )
    return page


def factors_error(points: Sequence[Sequence[float]], *, metric: str = "RMSE, stars", data: str = "") -> Figure:
    """The error against the number of factors.

    Args:
        points: (n_factors, error) or (n_factors, error, low, high) each, such as cross-validation gives.
        metric: what the error is, with its unit.
        data: what it was measured on.
    """
    if not points:
        raise DataError("there are no points to draw.", hint="a list of (n_factors, error).")
    rows = sorted(tuple(p) for p in points)
    best = min(rows, key=lambda p: p[1])
    with paper():
        page = figure(7.2, 4.4, "Error against the number of factors")
        ax = page.subplots()
        ks, errors = [p[0] for p in rows], [p[1] for p in rows]
        spans = [p for p in rows if len(p) == 4]
        ax.plot(ks, errors, color=BLUE, marker="o", label=f"lowest: {best[1]:.4f} with {best[0]:g}")
        if spans:
            at, low, high = ([p[k] for p in spans] for k in (0, 2, 3))
            ax.fill_between(at, low, high, color=BLUE, alpha=0.15, lw=0, label="interval")
        ax.plot(best[0], best[1], color=ORANGE, marker="o", ms=9, ls="")
        if min(ks) > 0 and max(ks) / min(ks) > 8:
            ax.set_xscale("log", base=2)
        ax.set_xticks(ks, [f"{k:g}" for k in ks], minor=False)
        ax.set(xlabel="number of factors", ylabel=f"error ({metric})")
        ax.legend()
        subtitle(ax, f"{len(rows)} fits", data)
    return page


def _need(log: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    rows = [row for row in log or () if key in row]
    if not rows:
        raise DataError(
            f"the log has no {key!r} to draw.", hint="Learner.history has, and a model saved by dotbias fit."
        )
    return rows
