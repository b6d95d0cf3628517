"""What was measured, as values that print, and that JSON takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import SettingError

if TYPE_CHECKING:
    from rich.table import Table

Interval = tuple[float, float]


@dataclass(frozen=True, repr=False)
class Report:
    """The error of one scorer on held-out ratings.

    Attributes:
        values: metric -> its value over all rows.
        interval: metric -> (low, high), 95 % by bootstrap over users; empty with fewer than two users.
        warm: metric -> its value over the rows whose user and item train knew; empty where there are none, or where
            neither the ratings nor train say which.
        n_test: number of held-out ratings.
        n_users: number of users among them.
        n_cold_users: users among them that train never saw; None where that cannot be told.
        n_cold_items: items likewise.
        n_cold_rows: ratings whose user or item train never saw.
        notes: circumstances a reader should know.
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
        """For JSON: rmse, rmse_interval [low, high], rmse_warm …, n_test, n_cold_users …; None: not known."""
        out: dict[str, Any] = {}
        for name, value in self.values.items():
            out[name] = value
            out[f"{name}_interval"] = list(self.interval[name]) if name in self.interval else None
            out[f"{name}_warm"] = self.warm.get(name)
        counts = {f: getattr(self, f) for f in ("n_test", "n_users", "n_cold_users", "n_cold_items", "n_cold_rows")}
        return {**out, **counts, "notes": list(self.notes)}

    def __repr__(self) -> str:
        rows = [("", "all rows", "95 % interval", "warm rows"), *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *self._footer()])

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table("", "all rows", "95 % interval", "warm rows", caption="\n".join(self._footer()))
        for row in self._rows():
            table.add_row(*row)
        return table

    def _rows(self) -> list[tuple[str, str, str, str]]:
        def show(x: float | None) -> str:
            return "-" if x is None else f"{x:.4f}"

        def span(name: str) -> str:
            return " to ".join(map(show, self.interval[name])) if name in self.interval else "-"

        return [(n.upper(), show(v), span(n), show(self.warm.get(n))) for n, v in self.values.items()]

    def _footer(self) -> list[str]:
        def show(n: int | None) -> str:
            return "?" if n is None else f"{n:,}"

        cold = f"{show(self.n_cold_rows)} with {show(self.n_cold_users)} users or {show(self.n_cold_items)} items"
        return [f"{self.n_test:,} ratings of {self.n_users:,} users; {cold} that train never saw.", *self.notes]

    def _value(self, name: str) -> float:
        if name not in self.values:
            raise SettingError(f"{name} was not asked for.", hint=f"evaluate(…, metrics={(*self.values, name)!r})")
        return self.values[name]


class Difference(NamedTuple):
    """By how much a scorer's error lies above the first one's (below zero: better), with its 95 % interval."""

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
    """

    reports: Mapping[str, Report]
    differences: Mapping[str, Mapping[str, Difference]]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON: name -> the report's keys, and {metric}_difference [value, low, high]."""
        out = {name: report.to_dict() for name, report in self.reports.items()}
        for name, by_metric in self.differences.items():
            out[name] |= {f"{metric}_difference": [None if x != x else x for x in d] for metric, d in by_metric.items()}
        return out


@dataclass(frozen=True)
class CrossValidation:
    """The errors of k fits, each on the fold held out of it.

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
