"""Several fitters on the same splits: one table of errors, intervals, paired differences and costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import SettingError, did_you_mean
from ..evaluation import DEFAULT, metrics_for, served_times
from ..evaluation.measure import Resamples
from ..evaluation.ranked import Order
from ..evaluation.reporting import compared
from ..evaluation.scored import bounds, guesses
from ..evaluation.summing import Ask, Asked, Measured, Metrics, ask_for, check_kind, measure, pooled, popularity, told
from ..metrics import Metric
from ..ratings import Ratings
from ..rng import Rng, key
from ..scorer import Intervals, Scorer, Timed, check_rows, offers
from ..settings import check
from ..solvers import fit_clicks
from ..split import Split
from . import entrants as entering
from .cost import Cost, together
from .entrants import Entrant, Fitters
from .leaks import checked_test
from .results import Calibration, Compared, Row, holm

BINS = 18  # of guesses, over the ratings' scale


class OneFit(NamedTuple):
    """One fitter on one split."""

    measured: Measured
    given: Measured | None
    cost: Cost
    log: list[dict[str, Any]]
    notes: tuple[str, ...]
    calibration: Calibration | None
    held: tuple[int, int] | None  # ratings in the 80 % intervals, and all


def compare(
    fitters: Fitters,
    splits: Split | Iterable[Split],
    *,
    reference: str | None = None,
    metrics: Metrics | None = None,
    order: str | Order = "liked",
    like: float | None = None,
    times: Asked | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    n_resamples: Resamples = 2000,
    rng: Rng = 0,
    details: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Compared:
    """Fit each on the same train parts with the same seed, and measure each on the same held-out ratings.

        compare(["bias", "sgd", "als"], split.lesson(ratings), reference="bias")
        compare({"sgd": "sgd", "theirs": lambda train: their_model(train).predict}, split.folds(ratings, 5, rng=0))

    Figures are as served: times are unknown where ratings were held out at random, and now where they all came later;
    lists take P(rated) from ``fit_clicks(train)``.
    The rows are in the order of the first metric, whatever it is. Another library's model joins as a function of train
    that returns a Scorer, or a function of user rows (B,) and item rows (B,) that returns guesses (B,). It gets
    ``rng=`` if it takes one, and never sees the held-out ratings.

    Args:
        fitters: names of the list of fitters (gibbs, so named, uses all that the data have, as on the command line), or
            name -> fitter, or name -> function; ``functools.partial`` carries settings.
        splits: one or several, whose held-out ratings are pooled: sums by user are added.
        reference: the row that differences are to; by default bias where it is compared, else the first.
        metrics: as in ``evaluate``; by default rmse, mse, mae and ndcg@10, and of clicks lists' alone.
        order: what lists are ordered by.
        like: the rating from which an item is liked.
        times: what scorers are told of times: "given", "unknown" or "now"; by default as served.
        settings: name -> settings of that row's fitter.
        n_resamples: bootstrap draws.
        rng: the seed that every fit gets; a Generator is drawn from once.
        details: also calibration and intervals; and our own fitters write the held-out error into their logs. It
            decides nothing.
        progress: told what is being fitted, in words.

    Raises:
        SettingError: for names that are none, or arguments that make no sense.
        DataError: for a split whose train holds test ratings, or later ones where it is a split by time.
    """
    check(compare, {"like": like, "n_resamples": n_resamples, "times": times})
    rows = entering.entrants(fitters, settings)
    reference = _reference(reference, [e.name for e in rows])
    seed = int(rng) if isinstance(rng, (int, np.integer)) else key(rng)
    fits = _Fits({e.name: [] for e in rows}, [], [])
    ask: Ask | None = None
    for split in [splits] if isinstance(splits, Split) else splits:
        test = checked_test(split)
        ask = ask or _ask(test, split.train, metrics, order, like, times)
        _fit_all(rows, split.train, test, ask, seed, fits, progress, details=details)
    if ask is None:
        raise SettingError("there are no splits.", hint="such as split.lesson(ratings), or split.folds(ratings, 5).")
    names = tuple(m.name for m in ask.metrics)
    made = _ranked(_rows(rows, reference, fits, ask, n_resamples, seed), ask.metrics[0])
    return Compared(made, reference, names, len(fits.n_train), tuple(fits.n_train), seed, ask.times)


class _Fits(NamedTuple):
    """What was measured so far: by row, of the most popular items; and the sizes of the train parts."""

    parts: dict[str, list[OneFit]]
    popular: list[Measured]
    n_train: list[int]


def _fit_all(
    rows: list[Entrant],
    train: Ratings,
    test: Ratings,
    ask: Ask,
    rng: int,
    fits: _Fits,
    progress: Callable[[str], None] | None,
    *,
    details: bool,
) -> None:
    """Every row on one split; what cannot be fitted is refused before the first fit."""
    check_kind(ask, test, train)
    for e in rows:
        entering.check_kind(e, train)
    if ask.lists and train.values is not None:
        ask = ask._replace(clicks=fit_clicks(train, rng=rng))  # one for all rows, as ``dotbias fit`` fits it along
    edges = np.linspace(*_scale(train), BINS + 1) if details and train.values is not None else None
    for k, e in enumerate(rows, 1):
        if progress is not None:
            progress(f"split {len(fits.n_train) + 1}, {k} of {len(rows)}: {e.name}")
        fits.parts[e.name].append(_part(e, train, test, ask, rng, edges, watched=details and not fits.n_train))
    popular = popularity(test, train, ask)
    fits.popular.extend([popular] if popular is not None else [])
    fits.n_train.append(len(train))


def _rows(rows: list[Entrant], reference: str, fits: _Fits, ask: Ask, n_resamples: int, seed: int) -> list[Row]:
    """From sums by user to figures: intervals, paired differences to the reference, Holm's p-values."""
    found = {name: pooled([p.measured for p in fits.parts[name]]) for name in [reference, *fits.parts]}
    popular = pooled(fits.popular) if fits.popular else None
    measured = compared(found, popular, ask, n_resamples, key(seed))
    adjusted = {m.name: holm({name: p[m.name] for name, p in measured.p_values.items()}) for m in ask.metrics}
    made = []
    for e in rows:
        gaps = measured.differences.get(e.name, {})
        p_values = {m: adjusted[m][e.name] for m in gaps}
        made.append(_row(e, fits.parts[e.name], measured.reports[e.name], gaps, p_values, ask))
    return made


def _ranked(rows: list[Row], metric: Metric) -> tuple[Row, ...]:
    """Best first; rows without a figure last; of equals the first asked for."""
    sign = -1 if metric.better == "high" else 1
    values = [sign * row.report.values[metric.name] for row in rows]
    return tuple(rows[k] for k in sorted(range(len(rows)), key=lambda k: (np.isnan(values[k]), values[k])))


def _reference(name: str | None, names: list[str]) -> str:
    if name is None:
        return "bias" if "bias" in names else names[0]
    if name not in names:
        raise SettingError(f"the reference {name!r} is not compared.", hint=did_you_mean(name, names))
    return name


def _ask(
    test: Ratings, train: Ratings, metrics: Metrics | None, order: str | Order, like: float | None, times: Asked | None
) -> Ask:
    """What is measured, the same on every split: like and times are decided by the first."""
    asked = metrics_for(test, train, shown=True) if metrics is None else metrics
    return ask_for(asked, order, like, train, times or served_times(test, train))


def _part(
    entrant: Entrant, train: Ratings, test: Ratings, ask: Ask, rng: int, edges: np.ndarray | None, *, watched: bool
) -> OneFit:
    """Fit one on one split, and measure it; the model itself is not kept."""
    watch = test if watched and test.values is not None else None
    fit = entering.fitted(entrant, train, rng, watch)
    check_rows(fit.scorer, test, "test")
    found, given = measure(fit.scorer, test, train, ask), _given(fit.scorer, test, train, ask)
    times = told(fit.scorer, test, ask.times)[1]
    calibration = None if edges is None else Calibration.of(guesses(fit.scorer, test, times), edges)
    sure = _held(fit.scorer, test, times) if edges is not None and offers(fit.scorer, Intervals) else None
    return OneFit(found, given, fit.cost, fit.log, fit.notes, calibration, sure)


def _given(scorer: Scorer, test: Ratings, train: Ratings, ask: Ask) -> Measured | None:
    """The errors with the ratings' own times, where those that are served were made without."""
    errors = [m for m in ask.metrics if m.name in DEFAULT]
    if ask.times == "given" or not errors or test.times is None or not offers(scorer, Timed):
        return None
    return measure(scorer, test, train, ask._replace(metrics=errors, times="given"))


def _held(scorer: Scorer, test: Ratings, times: np.ndarray | None) -> tuple[int, int]:
    low, high, actual = bounds(scorer, test, times)
    return int(((low <= actual) & (actual <= high)).sum()), len(actual)


def _scale(train: Ratings) -> tuple[float, float]:
    values = train.explicit()
    low, high = float(values.min()), float(values.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _row(e: Entrant, parts: list[OneFit], report: Any, gaps: Any, p_values: dict[str, float], ask: Ask) -> Row:
    given = [p.given for p in parts if p.given is not None]
    errors = [m for m in ask.metrics if m.name in DEFAULT]
    sums = pooled(given).sums["", ""] if given else None
    of_given = {} if sums is None else {m.name: float(m.finish(sums.mean(c))) for c, m in enumerate(errors)}
    curves = [p.calibration for p in parts if p.calibration is not None]
    held = [p.held for p in parts if p.held is not None]
    return Row(
        e.name,
        report,
        gaps,
        p_values,
        together([p.cost for p in parts]),
        of_given,
        dict(e.settings),
        parts[0].log,
        tuple(dict.fromkeys(note for p in parts for note in p.notes)),
        sum(curves[1:], curves[0]) if curves else None,
        sum(n for n, _ in held) / sum(n for _, n in held) if held else None,
    )
