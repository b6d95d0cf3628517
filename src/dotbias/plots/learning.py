"""How it learned: losses, the sweep of the rate, gradients and activations, the error against the number of factors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ._page import BLUE, GREEN, GREY, ORANGE, figure, paper, subtitle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def losses(
    log: Sequence[Mapping[str, Any]], *, data: str = "", unit: str = "mean squared error, stars²", valid: str = "valid"
) -> Figure:
    """The loss of train and valid, by epoch; and the learning rate below, where the log has it.

    Args:
        log: a row per epoch: ``epoch``, ``train``, and where known ``valid``, ``batch_loss`` and ``lr`` (equally spaced
            through the epoch), as ``Learner.history`` or ``callbacks.Log`` keep them.
        data: what was learned from.
        unit: of the loss.
        valid: what the validation rows were, for the legend.
    """
    rows = _need(log, "train")
    epochs = [row["epoch"] for row in rows]
    with paper():
        has_rates = any("lr" in row for row in rows)
        page = figure(7.2, 5.6 if has_rates else 4.4, "Loss while learning")
        axes = page.subplots(
            2 if has_rates else 1, 1, sharex=True, squeeze=False, height_ratios=[3, 1][: 1 + has_rates]
        )
        ax = axes[0, 0]
        _through(ax, rows, "batch_loss", color=BLUE, alpha=0.25, lw=1, label="train, batches")
        ax.plot(epochs, [row["train"] for row in rows], color=BLUE, marker="o", label="train, while it learned")
        if any("valid" in row for row in rows):
            _draw_valid(ax, rows, valid)
        ax.set_ylabel(f"loss ({unit})")
        _frame(ax, rows)
        ax.legend()
        if has_rates:
            _through(axes[1, 0], rows, "lr", color=GREEN, lw=2)
            axes[1, 0].set(ylabel="learning rate", ylim=(0, None))
        axes[-1, 0].set_xlabel("epoch")
        axes[-1, 0].locator_params(axis="x", integer=True)
        subtitle(ax, f"{len(rows)} epochs", data)
    return page


def _draw_valid(ax: Axes, rows: Sequence[Mapping[str, Any]], name: str) -> None:
    known = [(row["epoch"], row["valid"]) for row in rows if "valid" in row]
    epoch, lowest = min(known, key=lambda point: point[1])
    ax.plot(*zip(*known, strict=True), color=ORANGE, marker="s", label=name)
    ax.annotate(
        f"lowest: {lowest:.3f} (epoch {epoch})", (epoch, lowest), (0, 12), textcoords="offset points", ha="right",
        color=ORANGE, size=9,
    )  # fmt: skip


def _through(ax: Axes, rows: Sequence[Mapping[str, Any]], key: str, **style: Any) -> None:
    """A line through numbers spread evenly within each epoch."""
    points = [(row["epoch"] - 1 + (k + 0.5) / len(row[key]), v) for row in rows for k, v in enumerate(row.get(key, ()))]
    if points:
        ax.plot(*zip(*points, strict=True), **style)


def _frame(ax: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Limits that show the epochs' losses, not the first batches'."""
    values = [row[k] for row in rows for k in ("train", "valid") if k in row]
    span = max(values) - min(values) or abs(max(values)) or 1.0
    ax.set_ylim(min(values) - 0.15 * span, max(values) + 0.15 * span)


def lr_sweep(sweep: Any, *, data: str = "") -> Figure:
    """The loss while the rate grows batch by batch; the suggestion stands where it falls steepest.

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


# Histograms over epochs ----------------------------------------------------------------------------------------


def kept_histograms(log: Sequence[Mapping[str, Any]] | None, kind: str) -> list[dict[str, Any]]:
    """The histograms that a model's training log holds: a dict per epoch, as GradientStats and ActivationStats have.

    Args:
        log: ``Recommender.log``, kept by ``callbacks.Log``.
        kind: "gradient" or "activation".
    """
    rows = [row for row in log or () if any(key.startswith(f"{kind} ") for key in row)]
    edges = next((np.asarray(row["edges"]) for row in rows if "edges" in row), None)
    return [
        {
            key.removeprefix(f"{kind} "): SimpleNamespace(counts=np.asarray(value), edges=edges)
            for key, value in row.items()
            if key.startswith(f"{kind} ")
        }
        for row in rows
    ]


def histograms(history: Sequence[Mapping[str, Any]], *, kind: str = "gradient", data: str = "") -> Figure:
    """Histograms over epochs, a panel per parameter or layer: a column is an epoch, a colour the share of its numbers.

    Both signs are on logarithmic scales, with the numbers nearest zero in the middle.

    Args:
        history: per epoch a dict of name -> statistics with ``counts`` (n,) and ``edges`` (n + 1,): the ``history`` of
            ``callbacks.GradientStats`` or ``ActivationStats``.
        kind: "gradient" or "activation".
        data: what was learned from.
    """
    names = list(dict.fromkeys(name for epoch in history for name in epoch))
    if not names:
        raise DataError(f"there is no {kind} to draw.", hint="fit with callbacks=[GradientStats()] or ActivationStats.")
    n_columns = min(len(names), 2 if len(names) < 5 else 3)
    n_rows = math.ceil(len(names) / n_columns)
    with paper():
        page = figure(4.0 * n_columns + 0.8, 3.0 * n_rows + 0.8, f"{kind.capitalize()}s, epoch by epoch")
        axes = page.subplots(n_rows, n_columns, squeeze=False, sharex=True)
        drawn: Any = None
        for ax, name in zip(axes.flat, names, strict=False):
            drawn = _histogram(ax, [epoch[name] for epoch in history if name in epoch], name)
        for ax in axes.flat[len(names) :]:
            ax.set_visible(False)
        for ax in axes.flat[max(len(names) - n_columns, 0) : len(names)]:  # the lowest of each column
            ax.set_xlabel("epoch")
            ax.tick_params(labelbottom=True)
        for ax in axes[:, 0]:
            ax.set_ylabel(f"{kind} (log scale both ways)")
        page.colorbar(drawn, ax=axes, label="share of the epoch's last batch", aspect=40)
        page.supxlabel(data, size=9, color=GREY) if data else None
    return page


def _histogram(ax: Axes, epochs: Sequence[Any], name: str) -> Any:
    """One panel, (bins, epochs), cut to the bins that are used."""
    from matplotlib.colors import LogNorm

    counts, edges = np.stack([np.asarray(e.counts, np.float64) for e in epochs], axis=1), np.asarray(epochs[0].edges)
    used = np.flatnonzero(counts.sum(axis=1))
    first, last = (used[0], used[-1]) if len(used) else (0, len(counts) - 1)
    n_numbers = int(counts[:, -1].sum())
    share = counts / np.maximum(counts.sum(axis=0), 1)
    shown = np.ma.masked_equal(share[first : last + 1], 0)
    extent = (0.5, len(epochs) + 0.5, first, last + 1)
    image = ax.imshow(
        shown, origin="lower", aspect="auto", extent=extent, cmap="viridis", norm=LogNorm(1e-4, 1), interpolation="none"
    )
    _label_bins(ax, edges, first, last)
    ax.locator_params(axis="x", integer=True)
    ax.grid(False)
    subtitle(ax, name, f"{n_numbers:,} numbers")
    return image


def _label_bins(ax: Axes, edges: np.ndarray, first: int, last: int) -> None:
    """Powers of ten at their edges, 0 at the middle of the bin that holds it; every edge where there are few."""
    zero = int(np.searchsorted(edges, 0.0)) - 1
    ticks = [k for k in range(first, last + 2) if _is_decade(edges[k]) and k not in (zero, zero + 1)]
    ticks = ticks[:: max(1, math.ceil(len(ticks) / 9))] if len(ticks) > 2 else list(range(first, last + 2))
    names = [_short(edges[k]) for k in ticks]
    if first <= zero <= last and zero not in ticks:
        ticks, names = [*ticks, zero + 0.5], [*names, "0"]
    ax.set_yticks(ticks, names)


def _short(edge: float) -> str:
    return f"{edge:.2g}" if abs(edge) >= 0.1 else f"{edge:.0e}".replace("e-0", "e-")


def _is_decade(edge: float) -> bool:
    return edge != 0 and abs(math.log10(abs(edge)) - round(math.log10(abs(edge)))) < 1e-6


def _need(log: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    rows = [row for row in log or () if key in row]
    if not rows:
        raise DataError(
            f"the log has no {key!r} to draw.", hint="Learner.history has, and a model saved by dotbias fit."
        )
    return rows
