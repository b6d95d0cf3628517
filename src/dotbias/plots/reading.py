"""What it learned: a map of items along two components, the bias ranking, the crosstab of the busiest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, SettingError
from ..interpret import Bias, Components
from ..ratings import Ratings
from ._page import BLUE, GREY, ORANGE, all_shortened, caption, figure, paper, subtitle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READINGS = {"items": "PCA over items", "transposed": "PCA of the transpose, the course's reading"}


def item_map(parts: Components, *, x: int = 1, y: int = 2, n_labels: int = 40, data: str = "") -> Figure:
    """Items along two components: a dot each, and the titles of the most rated that find room.

    Args:
        parts: of ``interpret.components`` or ``course_components``.
        x: component along the page, counted from 1.
        y: component up the page.
        n_labels: titles to place, most rated first; one that would cover another is left out.
        data: what was learned from.
    """
    n = parts.scores.shape[1]
    if not (1 <= x <= n and 1 <= y <= n and x != y):
        raise SettingError(f"x={x} and y={y} are no two of {n} components.", hint="x=1, y=2.")
    across, up = parts.scores[:, x - 1], parts.scores[:, y - 1]
    with paper():
        page = figure(9.6, 8.2, "A map of items: near each other means liked by the same people")
        ax = page.subplots()
        size = 6 + 60 * np.sqrt(np.array(parts.counts) / max(parts.counts))
        ax.scatter(across, up, s=size, color=BLUE, alpha=0.22, lw=0)
        unit = "embedding units" if parts.reading == "items" else "unit vector over items"
        for name, k in (("x", x), ("y", y)):
            share = f"{parts.shares[k - 1]:.0%} of the variance"
            getattr(ax, f"set_{name}label")(f"component {k} ({unit}; {share})")
        ax.margins(0.08)
        names = all_shortened([_name(t, i) for t, i in zip(parts.titles, parts.ids, strict=True)], 42)
        about = f"{parts.about()} (size: ratings)", READINGS[parts.reading], data
        subtitle(ax, *about)
        caption(
            page,
            "The two directions in which the items' factors differ most. What they mean is for you to read "
            "from the titles at their ends: nobody told the model. Turning the map over changes nothing.",
        )
        _label(page, ax, np.c_[across, up], names, n_labels)
    return page


def _label(page: Figure, ax: Axes, points: np.ndarray, names: Sequence[str], n_labels: int) -> None:
    """Write names beside points (M, 2) in order, each where it meets no other and no labelled dot.

    Greedy: the first of four places around the dot that is free; a name with none is left out. Nothing is optimised.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.patheffects import withStroke

    renderer: Any = FigureCanvasAgg(page).get_renderer()
    page.draw_without_rendering()  # settles the layout, so that places on the page mean something
    page.set_layout_engine("none")
    inside, at = ax.get_window_extent(renderer), ax.transData.transform(points)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    taken: list[Any] = []
    dots: list[int] = []
    for k, name in enumerate(names):
        if len(dots) == n_labels:
            break
        text = ax.annotate(name, points[k], (0, 0), textcoords="offset points", size=8, zorder=5, path_effects=halo)
        box = free_place(text, inside, taken, at[dots], renderer)
        if box is None or any(b.padded(DOT).contains(*at[k]) for b in taken):
            text.remove()
            continue
        taken.append(box)
        dots.append(k)
    ax.scatter(*points[dots].T, s=14, color=ORANGE, zorder=4, lw=0)


DOT = 6  # pixels kept free around a labelled dot
PLACES = ((6, 0), (-6, 0), (0, 6), (0, -6))  # points right of, left of, above and below the dot


def free_place(text: Any, inside: Any, taken: Sequence[Any], dots: np.ndarray, renderer: Any) -> Any:
    """Move the text to its first free place and return its box in pixels, or None."""
    for dx, dy in PLACES:
        text.set(
            position=(dx, dy), ha=("center", "left", "right")[np.sign(dx)], va=("center", "bottom", "top")[np.sign(dy)]
        )
        box = text.get_window_extent(renderer).expanded(1.02, 1.1)
        within = inside.x0 < box.x0 and box.x1 < inside.x1 and inside.y0 < box.y0 and box.y1 < inside.y1
        if within and not any(box.overlaps(b) for b in taken) and not any(box.padded(DOT).contains(*d) for d in dots):
            return box
    return None


def component_ends(parts: Components, *, n: int = 8, data: str = "") -> Figure:
    """The items at either end of each component, as the course's notebook lists them.

    Args:
        parts: of ``interpret.course_components`` or ``components``.
        n: how many at either end.
        data: what was learned from.
    """
    n_parts = parts.scores.shape[1]
    n = min(n, max(len(parts.ids) // 2, 1))
    with paper():
        page = figure(9.6, 0.34 * n * n_parts + 1.7, "What lies at the ends of each component")
        axes = page.subplots(n_parts, 1, squeeze=False)[:, 0]
        for k, ax in enumerate(axes):
            _draw_ends(ax, parts, k, n)
        subtitle(axes[0], f"of {parts.about()}", READINGS[parts.reading], data)
        caption(
            page,
            "Each strip is one direction in which items differ, from its low end (left) to its high end "
            "(right), and only the outermost items are named. A name for the direction is what one end has and "
            "the other lacks.",
        )
    return page


def _draw_ends(ax: Axes, parts: Components, k: int, n: int) -> None:
    """One component: all items as dots on a line, the names of the n lowest left of it, of the n highest right."""
    scores = parts.scores[:, k]
    order = np.argsort(scores, kind="stable")
    chosen = [*order[:n], *order[::-1][:n]]
    names = all_shortened([_name(parts.titles[r], parts.ids[r]) for r in chosen], 38)
    reach: float = float(np.abs(scores).max()) or 1.0
    heights = np.r_[np.arange(n), np.arange(n)][::-1]
    ax.scatter(scores, np.full(len(scores), -1.0), s=8, color=BLUE, alpha=0.15, lw=0)
    for row, name, height, side in zip(chosen, names, heights, [-1] * n + [1] * n, strict=True):
        at = side * 1.08 * reach
        ax.plot([float(scores[row]), at], [height, height], color=ORANGE, lw=0.6, alpha=0.6)
        ax.plot(scores[row], height, "o", color=ORANGE, ms=4)
        ax.text(at + side * 0.02 * reach, height, name, ha="right" if side < 0 else "left", va="center", size=8)
    ax.axvline(0, color=GREY, lw=0.6)
    ax.set(xlim=(-2.6 * reach, 2.6 * reach), ylim=(-1.8, n - 0.3), yticks=[], xticks=[])
    ax.set_ylabel(f"component {k + 1}\n{parts.shares[k]:.0%} of the variance", size=9)
    for side in ("top", "right", "bottom", "left"):
        ax.spines[side].set_visible(False)
    ax.grid(False)


def _name(title: str | None, id: int | str) -> str:
    return str(title or id)


def bias_ranking(
    biases: Sequence[Bias], *, n: int = 10, data: str = "", what: str = "items", interval: str = "95 %"
) -> Figure:
    """The n best and the n worst by bias: what the average user would give, its interval, and the raw mean.

    Args:
        biases: of ``interpret.item_biases`` or ``user_biases``, best first.
        n: how many at either end.
        data: what was learned from.
        what: of what.
        interval: its level, for the legend.
    """
    if not biases:
        raise DataError("there are no biases to draw.", hint="lower min_ratings.")
    n = min(n, max(len(biases) // 2, 1))
    best, worst = list(biases[:n]), list(biases[-n:])
    shown = best + (worst if len(biases) > 1 else [])
    heights = np.r_[np.arange(len(best)), len(best) + 0.8 + np.arange(len(shown) - len(best))]
    with paper():
        page = figure(8.6, 1.6 + 0.3 * len(shown), f"Best and worst {what} by bias")
        ax = page.subplots()
        for row, height in zip(shown, heights, strict=True):
            colour = BLUE if row.bias >= 0 else ORANGE
            if row.low is not None and row.high is not None:
                ax.plot([row.low, row.high], [height, height], color=colour, lw=2.5, alpha=0.45, solid_capstyle="butt")
            ax.plot(row.stars, height, "o", color=colour, ms=7)
            if row.mean is not None:
                ax.plot(row.mean, height, "|", color=GREY, ms=11, mew=1.8)
        _legend(ax, shown, interval)
        names = all_shortened([_name(r.title, r.id) for r in shown], 44)
        ax.set_yticks(heights, [f"{name}  ({r.count:,})" for name, r in zip(names, shown, strict=True)])
        ax.invert_yaxis()
        ax.set_xlabel("what the average user would give (stars)")
        ax.grid(False, axis="y")
        subtitle(ax, f"{len(shown)} of {len(biases):,} {what} (number of ratings)", data)
        caption(
            page,
            "A bias is what remains when the habits and tastes of those who rated are taken out; with few "
            "ratings it is drawn towards the average.",
        )
    return page


def _legend(ax: Axes, shown: Sequence[Bias], interval: str) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], marker="o", color=c, ls="", label=f"{word} the average")
        for c, word in ((BLUE, "above"), (ORANGE, "below"))
    ]
    if any(r.low is not None for r in shown):
        marks.append(Line2D([], [], color=GREY, lw=2.5, alpha=0.45, label=f"{interval} interval"))
    if any(r.mean is not None for r in shown):
        marks.append(Line2D([], [], color=GREY, marker="|", ls="", ms=11, mew=1.8, label="raw mean of its ratings"))
    ax.legend(handles=marks, loc="upper right", bbox_to_anchor=(1.02, -0.09), ncols=4, frameon=False, columnspacing=1.2)


def crosstab(ratings: Ratings, *, n: int = 15, data: str = "") -> Figure:
    """The ratings that the n busiest users gave the n most rated items, as a heat map; blank where there is none.

    Args:
        ratings: explicit ones.
        n: how many of each; ties by row.
        data: what they are.
    """
    values = ratings.explicit()
    users = np.argsort(-ratings.user_counts, kind="stable")[:n]
    items = np.argsort(-ratings.item_counts, kind="stable")[:n]
    table = np.full((len(users), len(items)), np.nan)
    place = np.full(ratings.n_users, -1), np.full(ratings.n_items, -1)
    place[0][users], place[1][items] = np.arange(len(users)), np.arange(len(items))
    u, i = place[0][ratings.users], place[1][ratings.items]
    known = (u >= 0) & (i >= 0)
    table[u[known], i[known]] = values[known]
    titles = ratings.item_titles or [None] * ratings.n_items
    names = all_shortened([_name(titles[r], ratings.item_ids[r]) for r in items], 34)
    with paper() as sns:
        page = figure(9.2, 8.2, f"What the {len(users)} busiest users gave the {len(items)} most rated items")
        ax = page.subplots()
        low, high = ratings.scale()
        sns.heatmap(
            table, ax=ax, vmin=low, vmax=high, cmap="RdYlBu", annot=True, fmt=".3g", linewidths=1, square=False,
            annot_kws={"size": 8}, cbar_kws={"label": "rating (stars)", "aspect": 40, "pad": 0.02},
            xticklabels=names, yticklabels=[str(x) for x in ratings.user_ids.take(users)],
        )  # fmt: skip
        ax.set(xlabel="item", ylabel="user (id)")
        ax.tick_params(axis="y", rotation=0)
        ax.set_xticklabels(ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
        ax.grid(False)
        subtitle(ax, f"{int(known.sum())} of {table.size} cells rated (blank: not)", data)
        caption(page, "To guess what the blanks would hold is what a model is for.")
    return page
