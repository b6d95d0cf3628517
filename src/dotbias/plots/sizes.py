"""How large the numbers in a model are while it learns: gradients and activations, epoch by epoch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ._page import BLUE, caption, figure, paper, subtitle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = {
    "u": "factors of users",
    "i": "factors of items",
    "ub": "biases of users",
    "ib": "biases of items",
    "drop_u": "factors of users after dropout",
    "drop_i": "factors of items after dropout",
    "last": "last layer",
    "range": "predictions",
}
BANDS = (
    "The line is the median size, plus or minus and zeros left aside; half of the numbers lie in the dark "
    "band, 90 % in all."
)
READ = {
    "gradient": (
        f"How strongly each part is pulled in an epoch's last batch. {BANDS} "
        "Level bands: it learns steadily. A band that falls by powers of ten: this part learns no more. "
        "One that shoots up: the rate is too high."
    ),
    "activation": (
        f"How large the numbers are that flow through the model in an epoch's last batch. {BANDS} "
        "They grow from their small random start and then settle. A part that is nearly all zero does nothing."
    ),
}
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def kept_histograms(log: Sequence[Mapping[str, Any]] | None, kind: str) -> list[dict[str, Any]]:
    """The histograms that a model's training log holds: a dict per epoch, as GradientStats and ActivationStats have.

    Args:
        log: ``Recommender.log``, kept by ``dotbias fit``.
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
    """How the sizes of numbers spread, epoch by epoch, a panel per parameter or layer: their median and bands.

    Args:
        history: per epoch a dict of name -> statistics with ``counts`` (n,) and ``edges`` (n + 1,): the ``history`` of
            ``callbacks.GradientStats`` or ``ActivationStats``.
        kind: "gradient" or "activation".
        data: what was learned from.
    """
    names = list(dict.fromkeys(name for epoch in history for name in epoch))
    names = [name for name in names if name != "range"] or names  # a few bins: `predictions` shows them
    if not names:
        raise DataError(f"there is no {kind} to draw.", hint="fit with callbacks=[GradientStats()] or ActivationStats.")
    n_columns = min(len(names), 2)
    n_rows = math.ceil(len(names) / n_columns)
    with paper():
        page = figure(3.8 * n_columns + 0.8, 2.3 * n_rows + 1.5, f"How large the {kind}s are")
        axes = page.subplots(n_rows, n_columns, squeeze=False, sharex=True)
        for ax, name in zip(axes.flat, names, strict=False):
            _panel(ax, [(k + 1, epoch[name]) for k, epoch in enumerate(history) if name in epoch], name)
        _one_scale(axes.flat[: len(names)])
        for ax in axes.flat[len(names) :]:
            ax.set_visible(False)
        for k, ax in enumerate(axes.flat[: len(names)]):
            ax.locator_params(axis="x", integer=True)
            is_lowest = k >= len(names) - n_columns
            ax.tick_params(labelbottom=is_lowest)
            ax.set_xlabel("epoch" if is_lowest else "")
            ax.set_ylabel(f"size of the {kind} (log)" if k % n_columns == 0 else "")
        caption(page, f"{READ.get(kind, BANDS)}{f' ({data})' if data else ''}")
    return page


def _panel(ax: Axes, epochs: Sequence[tuple[int, Any]], name: str) -> None:
    """Bands of one parameter or layer."""
    number, last = [k for k, _ in epochs], epochs[-1][1]
    counts, edges = np.asarray(last.counts, np.float64), np.asarray(last.edges)
    bands = np.array([quantiles(np.asarray(e.counts), edges, LEVELS) for _, e in epochs])  # (epochs, 5)
    mark = {"marker": "o", "ms": 3} if len(epochs) < 30 else {}
    ax.fill_between(number, bands[:, 0], bands[:, 4], alpha=0.15, color=BLUE, lw=0)
    ax.fill_between(number, bands[:, 1], bands[:, 3], alpha=0.35, color=BLUE, lw=0)
    ax.plot(number, bands[:, 2], color=BLUE, **mark)
    ax.set_yscale("log")
    zero = float(counts[(edges[:-1] < 0) & (edges[1:] > 0)].sum() / max(counts.sum(), 1))
    subtitle(ax, part_name(name), f"{int(counts.sum()):,} numbers", f"{zero:.0%} zero" if zero > 0.005 else "")


def quantiles(counts: np.ndarray, edges: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Quantiles of the sizes |x| of the numbers in a histogram with edges at powers either side of 0.

    Args:
        counts: (n,).
        edges: (n + 1,), rising.
        levels: between 0 and 1.

    Returns:
        One for each level, interpolated on a log scale; the numbers in the bin around 0 do not count. NaN without any.
    """
    low, high = np.minimum(np.abs(edges[:-1]), np.abs(edges[1:])), np.maximum(np.abs(edges[:-1]), np.abs(edges[1:]))
    size = np.sqrt(low * high)
    order = np.argsort(size, kind="stable")
    weight = np.where((edges[:-1] < 0) & (edges[1:] > 0), 0, counts)[order].astype(np.float64)
    used = weight > 0
    if not used.any():
        return np.full(len(levels), np.nan)
    middle = (np.cumsum(weight) - weight / 2)[used] / weight.sum()
    return np.exp(np.interp(levels, middle, np.log(size[order][used])))


def part_name(name: str) -> str:
    """``u.weight`` -> factors of users; ``layers.0.bias`` -> layer 1, biases."""
    bare = name.removesuffix(".weight")
    layer = re.fullmatch(r"(layers|drops)\.(\d+)(\.weight|\.bias)?|last\.(?:weight|bias)", name)
    if layer:
        what = {"weight": ", weights", "bias": ", biases"}.get(name.rpartition(".")[2], "")
        number = f"layer {int(layer[2]) + 1}" if layer[2] else "last layer"
        return f"{number}{' after dropout' if layer[1] == 'drops' else what}"
    return PARTS.get(bare, name)


def _one_scale(axes: Any) -> None:
    """The same limits for all, so that panels can be compared."""
    if len(axes):
        limits = [ax.get_ylim() for ax in axes]
        low, high = min(x for x, _ in limits), max(x for _, x in limits)
        for ax in axes:
            ax.set_ylim(low, high)
