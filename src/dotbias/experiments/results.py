"""A comparison as a value that prints, and that JSON takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..errors import SettingError, did_you_mean
from ..evaluation import Difference, Report
from ..evaluation.reports import aligned, as_html, shown, span, title
from ..metrics import Guesses
from .cost import Cost


class Calibration(NamedTuple):
    """Guesses in bins of equal width: what was guessed there, and what was given.

    Attributes:
        edges: (L + 1,) of the bins, on the ratings' scale.
        counts: (L,) guesses in each.
        predicted: (L,) their sums.
        actual: (L,) sums of the ratings.
    """

    edges: np.ndarray
    counts: np.ndarray
    predicted: np.ndarray
    actual: np.ndarray

    @classmethod
    def of(cls, guesses: Guesses, edges: np.ndarray) -> Calibration:
        """Of guesses; those past the ends are in the outermost bins."""
        at = np.clip(np.searchsorted(edges, guesses.predicted, side="right") - 1, 0, len(edges) - 2)
        sums = (np.bincount(at, w, len(edges) - 1) for w in (None, guesses.predicted, guesses.actual))
        return cls(edges, *sums)

    def __add__(self, other: object) -> Calibration:
        if not isinstance(other, Calibration):
            return NotImplemented
        return Calibration(self.edges, *(a + b for a, b in zip(self[1:], other[1:], strict=True)))

    def points(self, at_least: int = 20) -> list[tuple[float, float, int]]:
        """(mean guess, mean rating, ratings) of each bin that holds as many."""
        found = zip(self.counts, self.predicted, self.actual, strict=True)
        return [(float(p / n), float(a / n), int(n)) for n, p, a in found if n >= at_least]


@dataclass(frozen=True)
class Row:
    """One fitter's part of a comparison.

    Attributes:
        name: of the row.
        report: its figures over all splits' held-out ratings together.
        difference: metric -> Difference to the reference's, paired: over the same draws of users. Empty for the
            reference itself.
        p_values: metric -> of that difference, by Holm's procedure over all rows but the reference.
        cost: of all fits together.
        given: metric -> the error with the ratings' own times given, where the report was made without them.
        settings: those that were not the defaults.
        log: the steps of the first fit.
        notes: what fits warned of.
        calibration: of its guesses; None where they were not asked for.
        held: the share of held-out ratings in its 80 % intervals, where it has any, and was asked.
    """

    name: str
    report: Report
    difference: Mapping[str, Difference]
    p_values: Mapping[str, float]
    cost: Cost
    given: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    log: Sequence[Mapping[str, Any]] = ()
    notes: tuple[str, ...] = ()
    calibration: Calibration | None = None
    held: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report's keys; {metric}_difference [value, low, high] and {metric}_p; fit; time_given; settings."""
        out = self.report.to_dict()
        for name, d in self.difference.items():
            out[f"{name}_difference"] = [None if x != x else x for x in d]
            out[f"{name}_p"] = None if self.p_values[name] != self.p_values[name] else self.p_values[name]
        cost = {"seconds": self.cost.seconds, "processor": self.cost.processor, "memory": self.cost.memory}
        plain = {
            k: v if isinstance(v, (int, float, str, bool, type(None))) else str(v) for k, v in self.settings.items()
        }
        return {"name": self.name, **out, "fit": cost, "time_given": dict(self.given), "settings": plain}


@dataclass(frozen=True, repr=False)
class Compared:
    """Several fitters on the same splits, best first by the first metric.

    Attributes:
        rows: one for each fitter.
        reference: the row that the others' differences are to.
        metrics: what was measured.
        n_splits: how many splits were pooled.
        n_train: ratings learnt from, of each split.
        rng: the seed that every fit got.
        times: what scorers were told of times: "unknown", "now" or "given".
    """

    rows: tuple[Row, ...]
    reference: str
    metrics: tuple[str, ...]
    n_splits: int
    n_train: tuple[int, ...]
    rng: int
    times: str

    def __getitem__(self, name: str) -> Row:
        found = {row.name: row for row in self.rows}
        if name not in found:
            raise SettingError(f"{name!r} was not compared.", hint=did_you_mean(name, found))
        return found[name]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what was compared, and ``rows``, best first."""
        about = {"reference": self.reference, "metrics": list(self.metrics), "n_splits": self.n_splits}
        about |= {"n_train": list(self.n_train), "seed": self.rng, "times": self.times}
        return {**about, "rows": [row.to_dict() for row in self.rows]}

    def table(self, metric: str | None = None) -> list[list[str]]:
        """The comparison as text: a row of heads, then one for each fitter.

        Args:
            metric: which is told in full, by default the first; of the others only the figure.
        """
        metric = metric or self.metrics[0]
        others = [m for m in self.metrics if m != metric]
        timed = any(metric in row.given for row in self.rows)
        heads = ["", title(metric), "95 % interval", f"less {self.reference}", "95 % interval", "p (Holm)"]
        heads += ["time given"] * timed + [title(m) for m in others] + ["fit s", "memory MB"]
        return [heads, *(self._line(row, metric, others, timed) for row in self.rows)]

    def _line(self, row: Row, metric: str, others: list[str], timed: bool) -> list[str]:
        gap = row.difference.get(metric)
        paired = (
            ["reference", "", ""] if gap is None else [f"{gap.value:+.4f}", signed(gap), small(row.p_values[metric])]
        )
        given = [shown(row.given[metric]) if metric in row.given else ""] if timed else []
        memory = row.cost.memory
        cost = [f"{row.cost.seconds:.2f}", "-" if memory is None else f"{memory / 1e6:.0f}"]
        own = [row.name, shown(row.report.values[metric]), span(row.report.interval.get(metric))]
        return [*own, *paired, *given, *(shown(row.report.values[m]) for m in others), *cost]

    def footer(self) -> list[str]:
        """What the figures are of."""
        report = self[self.reference].report
        splits = "" if self.n_splits == 1 else f" of {self.n_splits} splits together"
        lines = [
            f"Figures as served, times {self.times}{splits}; every fit had the same ratings and the seed {self.rng}."
        ]
        lines += [line for line in report.footer() if not line.startswith(("Guessed with", "popular:"))]
        if report.reference:
            listed = ", ".join(f"{title(m)} {shown(x)}" for m, x in report.reference["popular"].values.items())
            lines.append(f"The most popular items, the same for everybody: {listed}.")
        lines.append(
            "Differences: the same users drawn for both (paired bootstrap); p: no difference, Holm over the rows."
        )
        lines += [f"{row.name}: {note}" for row in self.rows for note in row.notes]
        return lines

    def __repr__(self) -> str:
        return "\n".join([*aligned(self.table()), *self.footer()])

    def _repr_html_(self) -> str:
        """For notebooks."""
        return as_html(self.table(), self.footer())


def signed(gap: Difference) -> str:
    """``-0.0123 to +0.0045``."""
    return "-" if gap.low != gap.low else f"{gap.low:+.4f} to {gap.high:+.4f}"


def small(p: float) -> str:
    """A p-value to three places."""
    return "-" if p != p else "<0.001" if p < 0.001 else f"{p:.3f}"


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values (Holm 1979): the k-th smallest of m times m - k + 1, none below the one before, at most 1.

    Values that are NaN stay so and are not counted.
    """
    rising = sorted((name for name, p in p_values.items() if p == p), key=lambda name: p_values[name])
    out, most = dict.fromkeys(p_values, float("nan")), 0.0
    for k, name in enumerate(rising):
        most = max(most, min((len(rising) - k) * p_values[name], 1.0))
        out[name] = most
    return out
