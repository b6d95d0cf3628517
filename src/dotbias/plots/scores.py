"""Predicted against actual."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ._page import BLUE, GREEN, GREY, ORANGE, caption, figure, paper, subtitle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def predictions(predicted: np.ndarray, actual: np.ndarray, *, data: str = "", part: str = "held-out") -> Figure:
    """Predicted against actual ratings, as hexagons coloured by how many fall in each, with margins.

    The line is the mean actual rating at each prediction: on the diagonal, predictions mean what they say.

    Args:
        predicted: (N,) a scorer's scores.
        actual: (N,) the ratings.
        data: what the ratings are, for the reader.
        part: which ratings these are.

    Raises:
        DataError: for arrays that are empty, of different lengths, or not finite.
    """
    x, y = np.asarray(predicted, np.float64), np.asarray(actual, np.float64)
    if x.shape != y.shape or x.ndim != 1 or not len(x) or not np.isfinite(x + y).all():
        raise DataError(f"predicted {x.shape} and actual {y.shape} are no two columns of finite numbers of one length.")
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    pad = 0.05 * (high - low) or 0.5
    rmse = float(np.sqrt(np.mean((x - y) ** 2)))
    with paper():
        page = figure(7.2, 6.6, "Predicted against actual ratings")
        grid = page.add_gridspec(2, 2, width_ratios=(5, 1), height_ratios=(1, 5))
        main = page.add_subplot(grid[1, 0])
        above, beside = page.add_subplot(grid[0, 0], sharex=main), page.add_subplot(grid[1, 1], sharey=main)
        hexagons = _hexagons(main, x, y, low - pad, high + pad)
        _margins(above, beside, x, y, low, high)
        main.set(xlabel="predicted rating (stars)", ylabel="actual rating (stars)")
        main.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad))
        page.colorbar(hexagons, ax=beside, label="ratings per hexagon", pad=0.1, aspect=30)
        subtitle(above, f"{len(x):,} {part} ratings", f"RMSE {rmse:.3f} stars", data)
        caption(
            page,
            "Each row of hexagons is one value that was given; the orange line is what was given on average "
            "where the model predicted so much. Where it follows the dashed line, predictions mean what they say.",
        )
    return page


def _hexagons(ax: Axes, x: np.ndarray, y: np.ndarray, low: float, high: float):
    """Hexagons, the diagonal, and the mean actual rating by prediction."""
    step, first = _step(y)
    if step:  # rows of hexagons on the ratings themselves
        n_rows = int(np.ceil((high - first) / (2 * step)))
        extent = (low, high, first, first + 2 * step * n_rows)
        drawn = ax.hexbin(x, y, gridsize=(22, n_rows), extent=extent, bins="log", cmap="Blues", mincnt=1, lw=0.3)
    else:
        drawn = ax.hexbin(x, y, gridsize=30, extent=(low, high, low, high), bins="log", cmap="Blues", mincnt=1, lw=0.3)
    ax.plot([low, high], [low, high], color=GREY, lw=1, ls="--", label="actual = predicted")
    edges = np.unique(np.quantile(x, np.linspace(0, 1, 21)))
    if len(edges) > 2:
        at = np.clip(np.searchsorted(edges, x, "right") - 1, 0, len(edges) - 2)
        n = np.maximum(np.bincount(at), 1)
        ax.plot(
            np.bincount(at, x) / n, np.bincount(at, y) / n, color=ORANGE, lw=2, marker="o", ms=4, label="mean actual"
        )
    ax.legend(loc="upper left", framealpha=0.95)
    return drawn


def _step(y: np.ndarray) -> tuple[float, float]:
    """(distance between neighbouring ratings, the lowest), or (0, lowest) where they are not a few even steps."""
    stars = np.unique(y)
    if not 2 <= len(stars) <= 25:
        return 0.0, float(stars[0])
    gaps = np.diff(stars)
    even = np.allclose(gaps / gaps.min(), np.round(gaps / gaps.min()), atol=1e-3)
    return float(gaps.min()) if even else 0.0, float(stars[0])


def _margins(above: Axes, beside: Axes, x: np.ndarray, y: np.ndarray, low: float, high: float) -> None:
    bins = np.linspace(low, high, 41)
    above.hist(x, bins=bins.tolist(), color=BLUE, alpha=0.75)
    step, first = _step(y)
    n_stars = round(float((y.max() - first) / step)) + 1 if step else 0
    rows = first + step * (np.arange(n_stars + 1) - 0.5) if step else bins
    beside.hist(y, bins=rows.tolist(), orientation="horizontal", color=GREEN, alpha=0.75, rwidth=0.8 if step else 1.0)
    for ax in (above, beside):
        ax.tick_params(labelleft=ax is above, labelbottom=ax is beside)
        ax.locator_params(axis="y" if ax is above else "x", nbins=2)
        ax.grid(False)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    above.set_ylabel("ratings")
    beside.set_xlabel("ratings")


def calibration(transforms: dict[str, np.ndarray], *, n_bins: int = 20) -> Figure:
    """Histograms of probability integral transforms: flat where the stated probabilities are right.

    Args:
        transforms: data set -> transforms of its held-out ratings (N,), in [0, 1].
        n_bins: bars across.
    """
    if not transforms:
        raise DataError("there is nothing to draw.", hint="give a dict of names and transforms.")
    with paper():
        page = figure(3.6 * len(transforms), 3.4, "Are the probabilities right?")
        axes = page.subplots(1, len(transforms), sharey=True, squeeze=False)[0]
        for ax, (name, u) in zip(axes, transforms.items(), strict=True):
            counts = np.histogram(u, n_bins, (0, 1))[0]
            ax.bar((np.arange(n_bins) + 0.5) / n_bins, counts * n_bins / len(u), 1 / n_bins, color=BLUE, alpha=0.55)
            ax.axhline(1, color=ORANGE, lw=1.2)
            ax.set(xlim=(0, 1), xlabel="probability of a rating so low or lower", title=f"{name} ({len(u):,} ratings)")
        axes[0].set_ylabel("share of ratings, 1 if right")
    return page
