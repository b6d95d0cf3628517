"""What was measured, as values that print, and that JSON takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import SettingError

if TYPE_CHECKING:
    from rich.table import Table

Interval = tuple[float, float]
MOST_RATED = "rated items, the same for everybody; models of ratings rarely beat it."


class GroupReport(NamedTuple):
    """Figures over some of the held-out ratings.

    Attributes:
        n_ratings: held-out ratings among them.
        n_users: users of these.
        values: metric -> its value; metrics that have nothing to count here are left out.
        intervals: metric -> (low, high), 95 %; left out with fewer than two users that count.
        counted: metric -> how many users count in it.
    """

    n_ratings: int
    n_users: int
    values: Mapping[str, float]
    intervals: Mapping[str, Interval]
    counted: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: n, n_users, and each metric's value, {metric}_interval and {metric}_users."""
        out: dict[str, Any] = {"n": self.n_ratings, "n_users": self.n_users}
        for name, value in self.values.items():
            out[name] = value
            out[f"{name}_interval"] = list(self.intervals[name]) if name in self.intervals else None
            out[f"{name}_users"] = self.counted[name]
        return out


@dataclass(frozen=True, repr=False)
class Report:
    """The figures of one scorer on held-out ratings.

    Attributes:
        values: metric -> its value over all rows; NaN where nothing counts (a note says so).
        interval: metric -> (low, high), 95 % by the studentised bootstrap over users; left out with fewer than two.
        warm: metric -> its value over the rows whose user and item train knew (lists: whose user); empty where there
            are none, or where neither the ratings nor train say which.
        n_test: number of held-out ratings.
        n_users: number of users among them.
        n_cold_users: users among them that train never saw; None where that cannot be told.
        n_cold_items: items likewise.
        n_cold_rows: ratings whose user or item train never saw.
        notes: circumstances a reader should know.
        counted: metric -> number of users that count in it (lists: those with a relevant held-out item).
        reference: for metrics of lists, the same figures of another order: "popular".
        by: facet -> group -> its GroupReport: what is known (see ``known``).
        better: metric -> "low", "high" or "neither".
        order: what lists were ordered by; None without metrics of lists.
        like: the rating from which an item counts as relevant; None for clicks, or without metrics of lists.
        question: which question the split asks; None where nobody said.
        times: what the scorer was told of the ratings' times when it guessed them: "rating's time given", "time
            unknown" or "now"; None where it uses none.
    """

    values: Mapping[str, float]
    interval: Mapping[str, Interval]
    warm: Mapping[str, float]
    n_test: int
    n_users: int
    n_cold_users: int | None
    n_cold_items: int | None
    n_cold_rows: int | None
    notes: tuple[str, ...] = ()
    counted: Mapping[str, int] = field(default_factory=dict)
    reference: Mapping[str, GroupReport] = field(default_factory=dict)
    by: Mapping[str, Mapping[str, GroupReport]] = field(default_factory=dict)
    better: Mapping[str, str] = field(default_factory=dict)
    order: str | None = None
    like: float | None = None
    question: str | None = None
    times: str | None = None

    @property
    def rmse(self) -> float:
        """Root mean squared error over all rows, in stars."""
        return self._value("rmse")

    @property
    def mse(self) -> float:
        """Mean squared error over all rows."""
        return self._value("mse")

    @property
    def mae(self) -> float:
        """Mean absolute error over all rows, in stars."""
        return self._value("mae")

    def to_dict(self) -> dict[str, Any]:
        """For JSON: rmse, rmse_interval [low, high], rmse_warm, rmse_users …, n_test, n_cold_users …; None: not known.

        ``reference`` and ``by`` hold the same of other orders and of groups.
        """
        out: dict[str, Any] = {}
        for name, value in self.values.items():
            out[name] = None if value != value else value
            out[f"{name}_interval"] = list(self.interval[name]) if name in self.interval else None
            out[f"{name}_warm"] = self.warm.get(name)
            out[f"{name}_users"] = self.counted.get(name, 0)
        counts = {f: getattr(self, f) for f in ("n_test", "n_users", "n_cold_users", "n_cold_items", "n_cold_rows")}
        lists = {"order": self.order, "like": self.like}
        return {
            **out,
            **counts,
            **(lists if self.order is not None else {}),
            "question": self.question,
            "times": self.times,
            "reference": {name: part.to_dict() for name, part in self.reference.items()},
            "by": {f: {label: p.to_dict() for label, p in parts.items()} for f, parts in self.by.items()},
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        return "\n".join([*aligned(self.rows()), *self.footer()])

    def __rich__(self) -> Table:
        return _table(self.rows(), "\n".join(self.footer()))

    def _repr_html_(self) -> str:
        """For notebooks."""
        return as_html(self.rows(), self.footer())

    def breakdown(self, metric: str) -> Breakdown:
        """One metric in every group, as a table that prints.

        Raises:
            SettingError: for a metric that was not asked for.
        """
        self._value(metric)
        return Breakdown(metric, self.by)

    def rows(self) -> list[list[str]]:
        """The figures as text: a row of heads, then one for each metric."""
        others = list(self.reference)
        rows = [["", "all rows", "95 % interval", "warm rows", *others]]
        for name, value in self.values.items():
            beside = [shown(self.reference[o].values.get(name)) for o in others]
            width = span(self.interval.get(name))
            rows.append([title(name), shown(value), width, shown(self.warm.get(name)), *beside])
        return rows

    def footer(self) -> list[str]:
        """Lines on what the figures are of."""

        clicks = self.order is not None and self.like is None
        what, whose = ("click" if clicks else "rating"), "user" + "s" * (self.n_users != 1)
        lines = [f"{self.n_test:,} {what}{'s' * (self.n_test != 1)} of {self.n_users:,} {whose}; {self._cold()}."]
        if self.order is not None:
            relevant = "each held-out click" if clicks else f"held-out ratings of {self.like:g} and more"
            lines.append(f"Lists: the whole catalogue, order: {self.order}; relevant: {relevant}.")
        if self.reference:
            most = "clicked items, the same for everybody." if clicks else MOST_RATED
            lines.append(f"popular: the most {most}")
        if self.question is not None:
            lines.append(f"The split asks: {self.question}")
        notes = [f"Guessed with: {note}." if note == self.times else note for note in self.notes]
        return [*lines, *notes]

    def _cold(self) -> str:
        """How many ratings are of users or items that train never saw, for people."""
        if self.n_cold_rows is None:
            return "which of them train never saw is not known"
        if not self.n_cold_rows:
            return "none of a user or an item that train never saw"
        sides = ((self.n_cold_users, "user"), (self.n_cold_items, "item"))
        who = [f"{'?' if n is None else f'{n:,}'} {what}{'s' * (n != 1)}" for n, what in sides if n != 0]
        return f"{self.n_cold_rows:,} of them of {' or '.join(who)} that train never saw"

    def _value(self, name: str) -> float:
        if name not in self.values:
            raise SettingError(f"{name} was not asked for.", hint=f"evaluate(…, metrics={(*self.values, name)!r})")
        return self.values[name]


@dataclass(frozen=True, repr=False)
class Breakdown:
    """One metric by what is known.

    Attributes:
        metric: its name.
        by: facet -> group -> GroupReport.
    """

    metric: str
    by: Mapping[str, Mapping[str, GroupReport]]

    def __repr__(self) -> str:
        return "\n".join(aligned(self.rows()))

    def __rich__(self) -> Table:
        return _table(self.rows(), "")

    def _repr_html_(self) -> str:
        """For notebooks."""
        return as_html(self.rows(), [])

    def rows(self) -> list[list[str]]:
        """The figures as text: a row of heads, then one for each group."""
        rows = [["", "", title(self.metric), "95 % interval", "ratings", "users"]]
        for facet, parts in self.by.items():
            for label, part in parts.items():
                if self.metric in part.values:
                    figures = shown(part.values[self.metric]), span(part.intervals.get(self.metric))
                    rows.append([facet, label, *figures, f"{part.n_ratings:,}", f"{part.counted[self.metric]:,}"])
        return rows


def title(name: str) -> str:
    """A metric as a head: ``NDCG@10``."""
    family, _, depth = name.partition("@")
    return family.upper() + (f"@{depth}" if depth else "")


def shown(x: float | None) -> str:
    """To four places, ``-`` where there is none."""
    return "-" if x is None or x != x else f"{x:.4f}"


def span(interval: Interval | None) -> str:
    """``0.8512 to 0.8634``."""
    return "-" if interval is None else " to ".join(map(shown, interval))


def aligned(rows: list[list[str]]) -> list[str]:
    """Cells as lines, each column as wide as its widest."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def as_html(rows: list[list[str]], notes: list[str]) -> str:
    """A table, its first row as heads, and lines below it; everything is escaped."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[1:])
    below = "".join(f"<div>{escape(note)}</div>" for note in notes)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def _table(rows: list[list[str]], caption: str) -> Table:
    from rich.table import Table

    table = Table(*rows[0], caption=caption or None)
    for row in rows[1:]:
        table.add_row(*row)
    return table


class Difference(NamedTuple):
    """By how much a scorer's figure lies above the first one's (errors: below 0 is better), with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Several scorers on the same rows.

    Attributes:
        reports: name -> Report.
        differences: name -> metric -> Difference to the first scorer, over the *same* draws of users (paired); of every
            scorer but the first.
        p_values: name -> metric -> how unlikely so large a difference is if there is none (two-sided, by the same
            bootstrap, of this difference alone).
    """

    reports: Mapping[str, Report]
    differences: Mapping[str, Mapping[str, Difference]]
    p_values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON: name -> the report's keys, and {metric}_difference [value, low, high]."""
        out = {name: report.to_dict() for name, report in self.reports.items()}
        for name, by_metric in self.differences.items():
            out[name] |= {f"{metric}_difference": [None if x != x else x for x in d] for metric, d in by_metric.items()}
        return out


@dataclass(frozen=True)
class CrossValidation:
    """The figures of k fits, each on the fold held out of it.

    Attributes:
        folds: the report of each fold.
        pooled: all folds' rows together, each scored by the fit that had not seen it. Counts of cold users and items
            are summed over folds.
    """

    folds: tuple[Report, ...]
    pooled: Report

    def to_dict(self) -> dict[str, Any]:
        """The pooled report's keys, and ``folds``: the list of theirs."""
        return {**self.pooled.to_dict(), "folds": [f.to_dict() for f in self.folds]}
