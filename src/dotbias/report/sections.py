"""The sections of a report: each a piece of HTML made of a comparison, or nothing where it has no data for it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ..evaluation.reports import shown, title
from ..experiments import Compared, Row
from . import svg

WIDTH = 680
LINE = 26  # pixels of a row
COLOURS = 10  # of the style sheet
WATCHED = "held-out"
FACETS = {"known": "what train saw", "since_train": "time since train"}  # in words; others say it themselves


def colour(result: Compared, name: str) -> str:
    """The class of a row's colour: the same in every picture."""
    return f"c{[row.name for row in result.rows].index(name) % COLOURS}"


def table(result: Compared) -> str:
    """Every figure, and what they are of."""
    heads, *rows = result.table()
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join(f"<tr>{_cells(row, colour(result, row[0]))}</tr>" for row in rows)
    notes = "".join(f"<p class=note>{escape(line)}</p>" for line in result.footer())
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{notes}"


def _cells(row: Sequence[str], kind: str) -> str:
    first = f'<th scope=row><span class="key {kind}"></span>{escape(row[0])}</th>'
    return first + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])


def intervals(result: Compared, metric: str) -> str:
    """The figures with their intervals, and the differences with theirs."""
    own = [(r.name, r.report.values[metric], r.report.interval.get(metric)) for r in result.rows]
    gaps = [(r.name, d.value, (d.low, d.high)) for r in result.rows if (d := r.difference.get(metric)) is not None]
    first = _forest(result, own, f"{title(metric)} and its 95 % interval over users", None)
    if not gaps:
        return first
    about = f"difference to {result.reference}, paired: intervals that leave 0 out are sure"
    return f"{first}{_forest(result, gaps, about, 0.0)}"


def _forest(result: Compared, rows: Sequence[tuple[str, float, Any]], about: str, mark: float | None) -> str:
    """A dot and a bar for each row."""
    rows = [(n, v, i if i is not None and i[0] == i[0] else (v, v)) for n, v, i in rows if v == v]
    ends = [end for _, _, interval in rows for end in interval] + ([] if mark is None else [mark])
    height = svg.TOP + svg.BOTTOM + LINE * len(rows)
    x = svg.Axis(*svg.spread(ends), 150, WIDTH - svg.RIGHT, name=about)
    parts = [] if mark is None else [_upright(x.at(mark), height)]
    for k, (name, value, (low, high)) in enumerate(rows):
        y, kind = svg.TOP + LINE * (k + 0.5), colour(result, name)
        parts.append(svg.text(142, y + 4, shortened(name), "label end"))
        parts.append(svg.line([(x.at(low), y), (x.at(high), y)], f"{kind} bar"))
        parts.append(svg.dot(x.at(value), y, kind, f"{name}: {value:.4f} ({low:.4f} to {high:.4f})"))
    return svg.frame(WIDTH, height, x, None, parts, about)


def _upright(x: float, height: int) -> str:
    return f'<line class="zero" x1="{x}" x2="{x}" y1="{svg.TOP}" y2="{height - svg.BOTTOM}"/>'


def against_time(result: Compared, metric: str) -> str:
    """The figure against seconds of fitting."""
    rows = [r for r in result.rows if r.report.values[metric] == r.report.values[metric]]
    seconds = [max(r.cost.seconds, 1e-3) for r in rows]
    values = [r.report.values[metric] for r in rows]
    names = "seconds of fitting, on the clock (logarithmic)", title(metric)
    x, y = svg.axes(WIDTH, 340, svg.wider(seconds), svg.spread(values), names=names, log=True)
    dots = [(x.at(t), y.at(v)) for t, v in zip(seconds, values, strict=True)]
    parts = [
        svg.dot(*at, colour(result, row.name), f"{row.name}: {s:.2f} s, {value:.4f}")
        for row, at, s, value in zip(rows, dots, seconds, values, strict=True)
    ]
    taken = [(a - 6, a + 6, b) for a, b in dots]
    for row, at in zip(rows, dots, strict=True):
        parts.append(_label(shortened(row.name), at, taken))
    return svg.frame(WIDTH, 340, x, y, parts, f"{title(metric)} against seconds of fitting")


def _label(name: str, at: svg.Point, taken: list[tuple[float, float, float]]) -> str:
    """A dot's name beside it, where neither dots nor names are: (left, right, height) of each."""
    width, right = 7 * len(name), at[0] > WIDTH - 110
    left = at[0] - 9 - width if right else at[0] + 9

    def free(y: float) -> bool:
        return not any(a < left + width and left < b and abs(y - other) < 12 for a, b, other in taken)

    moves = sorted(range(-60, 61, 3), key=abs)
    y = next((at[1] + move for move in moves if svg.TOP < at[1] + move < 300 and free(at[1] + move)), at[1])
    taken.append((left, left + width, y))
    return svg.text(at[0] + (-9 if right else 9), y + 4, name, "label end" if right else "label")


def calibration(result: Compared) -> str:
    """Mean rating against mean guess, in bins of guesses: on the diagonal, guesses mean what they say."""
    rows = [(r, r.calibration.points()) for r in result.rows if r.calibration is not None]
    rows = [(r, points) for r, points in rows if len(points) > 1]
    if not rows:
        return ""
    ends = [v for _, points in rows for p in points for v in p[:2]]
    low, high = svg.spread(ends)
    small = "".join(_calibrated(result, r, points, low, high) for r, points in rows)
    sure = [f"{r.name} {r.held:.1%}" for r in result.rows if r.held is not None]
    held = f"<p class=note>80 % intervals hold, of the held-out ratings: {escape(', '.join(sure))}.</p>" if sure else ""
    return f"<div class=grid3>{small}</div>{held}"


def _calibrated(result: Compared, row: Row, points: list[tuple[float, float, int]], low: float, high: float) -> str:
    x, y = svg.axes(220, 210, (low, high), (low, high), names=("mean guess", "mean rating"))
    at = [(x.at(p), y.at(a)) for p, a, _ in points]
    kind = colour(result, row.name)
    dots = [
        svg.dot(*where, kind, f"guessed {p:.2f}, given {a:.2f}, {n:,} ratings", 2.5)
        for where, (p, a, n) in zip(at, points, strict=True)
    ]
    parts = [svg.line([(x.at(low), y.at(low)), (x.at(high), y.at(high))], "diagonal"), svg.line(at, kind), *dots]
    return _figure(row.name, svg.frame(220, 210, x, y, parts, f"{row.name}: mean rating against mean guess"))


def breakdown(result: Compared, metric: str) -> str:
    """The figure in every group of what is known, a table for each way that divides the ratings."""
    facets = list(dict.fromkeys(f for row in result.rows for f in row.report.by))
    tables = [_facet(result, metric, facet) for facet in facets if len(_groups(result, facet)) > 1]
    return f"<div class=facets>{''.join(tables)}</div>" if tables else ""


def _groups(result: Compared, facet: str) -> list[str]:
    return list(dict.fromkeys(g for row in result.rows for g in row.report.by.get(facet, {})))


def _facet(result: Compared, metric: str, facet: str) -> str:
    groups = _groups(result, facet)
    sizes = [result.rows[0].report.by[facet][g].n_ratings for g in groups]
    head = "".join(f"<th>{escape(g)}<small>{n:,}</small></th>" for g, n in zip(groups, sizes, strict=True))
    columns = [[row.report.by[facet][g].values.get(metric) for row in result.rows] for g in groups]
    sign = -1 if result.rows[0].report.better.get(metric) == "high" else 1
    best = [min((sign * v for v in column if v is not None), default=None) for column in columns]
    body = ""
    for k, row in enumerate(result.rows):
        cells = ""
        for column, top in zip(columns, best, strict=True):
            kind = " class=best" if column[k] is not None and sign * (column[k] or 0.0) == top else ""
            cells += f"<td{kind}>{shown(column[k])}</td>"
        body += (
            f'<tr><th scope=row><span class="key {colour(result, row.name)}"></span>{escape(row.name)}</th>{cells}</tr>'
        )
    heading = escape(f"{title(metric)} by {FACETS.get(facet, facet.replace('_', ' '))}")
    whole = f"<table><thead><tr><th>{heading}</th>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class=wide>{whole}</div>"


def learning(result: Compared) -> str:
    """How the error fell, of fits that told of their steps: in train, and held out (watched only)."""
    pictures = [_learned(result, row) for row in result.rows]
    return f"<div class=grid3>{''.join(pictures)}</div>" if any(pictures) else ""


def _learned(result: Compared, row: Row) -> str:
    lines = {name: _series(row, name) for name in ("train", "valid")}
    lines = {name: points for name, points in lines.items() if len(points) > 1}
    if not lines:
        return ""
    every = [p for points in lines.values() for p in points]
    x_range = min(p[0] for p in every), max(p[0] for p in every)
    later = [v for points in lines.values() for _, v in points[len(points) // 10 :]]  # the start would squeeze the rest
    kind = next(iter(row.log[0]))
    x, y = svg.axes(220, 210, x_range, svg.spread(later), names=(kind, "error"))
    parts = []
    for name, points in lines.items():
        at = [(x.at(a), min(max(y.at(v), svg.TOP), 210 - svg.BOTTOM)) for a, v in points]
        parts.append(svg.line(at, f"{colour(result, row.name)} {'dashed' if name == 'train' else ''}", name))
        parts.append(svg.text(at[-1][0] - 2, at[-1][1] - 5, "train" if name == "train" else WATCHED, "tick end"))
    return _figure(row.name, svg.frame(220, 210, x, y, parts, f"{row.name}: error against {kind}"))


def _series(row: Row, name: str) -> list[svg.Point]:
    """(number of the step, error) of the last phase of a fit."""
    steps = [(k, r[name]) for k, r in enumerate(row.log, 1) if isinstance(r.get(name), (int, float))]
    return [(float(k), float(v)) for k, v in steps if v == v and abs(v) != float("inf")]


def _figure(name: str, picture: str) -> str:
    return f"<figure><figcaption>{escape(shortened(name, 28))}</figcaption>{picture}</figure>"


def shortened(name: str, n: int = 20) -> str:
    """A name that fits its place."""
    return name if len(name) <= n else name[: n - 1] + "…"
