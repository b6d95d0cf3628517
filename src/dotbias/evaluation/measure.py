"""Measuring scorers: one, several on the same rows, or the fits of a cross-validation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .. import split
from ..errors import DataError, SettingError
from ..metrics import METRICS
from ..ratings import Ratings, check_same_tables, cold_rows
from ..rng import Rng, numpy_rng
from ..scorer import Scorer, Timed, check_rows, offers
from .bootstrap import Sums, bootstrap, percentiles, sums
from .reports import Comparison, CrossValidation, Difference, Report


def evaluate(
    scorer: Scorer,
    test: Ratings,
    *,
    train: Ratings | None = None,
    metrics: Sequence[str] = ("rmse", "mse", "mae"),
    n_resamples: int = 1000,
    rng: Rng = 0,
) -> Report:
    """The error of ``scorer`` on held-out ratings, with its interval.

    Cold rows count in the headline: a scorer must answer them (a bilinear one has zero bias and factors there). The
    ratings' times are passed to the scorer; a scorer that uses them (``Timed``) gets a note.

    Args:
        scorer: anything with ``score``.
        test: held-out ratings; rows mean what they meant to the scorer.
        train: what the scorer was fitted on: with it, overlap is refused, and cold rows and ids are counted for sure.
        metrics: names of METRICS.
        n_resamples: bootstrap draws.
        rng: seed of the draws.

    Raises:
        DataError: for no ratings, implicit ones, NaN scores, id tables that differ, or pairs that train holds.
    """
    return compare({"it": scorer}, test, train=train, metrics=metrics, n_resamples=n_resamples, rng=rng).reports["it"]


def compare(
    scorers: Mapping[str, Scorer],
    test: Ratings,
    *,
    train: Ratings | None = None,
    metrics: Sequence[str] = ("rmse", "mse", "mae"),
    n_resamples: int = 1000,
    rng: Rng = 0,
) -> Comparison:
    """Several scorers on the same rows: each one's report, and its paired difference to the first.

    The draws of users are shared, so a difference's interval is far narrower than those of the errors themselves.
    Arguments and errors as in :func:`evaluate`.
    """
    if not scorers:
        raise SettingError("there is nothing to compare.", hint="give a dict of names and scorers.")
    checked = _with_cold(test, train)
    for scorer in scorers.values():
        check_rows(scorer, test, "test")
    tables = {name: sums(scorer, checked, metrics) for name, scorer in scorers.items()}
    draws = bootstrap(list(tables.values()), n_resamples, numpy_rng(rng))
    notes = {name: ("rating's day given",) if _timed(s, test) else () for name, s in scorers.items()}
    counts = _cold_counts(checked, train)
    reports = {
        name: _report(table, draw, metrics, counts, notes[name])
        for (name, table), draw in zip(tables.items(), draws, strict=True)
    }
    names = list(scorers)
    differences = {
        name: {m: _difference(reports, names[0], name, draw, draws[0], m) for m in metrics}
        for name, draw in zip(names[1:], draws[1:], strict=True)
    }
    return Comparison(reports, differences)


def cross_validate(
    fit: Callable[[Ratings], Scorer],
    ratings: Ratings,
    *,
    k: int = 5,
    rng: Rng = 0,
    metrics: Sequence[str] = ("rmse", "mse", "mae"),
    n_resamples: int = 1000,
) -> CrossValidation:
    """Fit k times, each on all folds but one, and measure on that one.

    Args:
        fit: any fitter; ``functools.partial(bias, reg_user=5)`` carries settings.
        ratings: what to divide; give it train, and the settings chosen never saw test.
        k: number of folds.
        rng: seed of the folds, and of the bootstrap.
        metrics: names of METRICS.
        n_resamples: bootstrap draws.
    """
    generator = numpy_rng(rng)
    tables, reports = [], []
    for train, _, test in split.folds(ratings, k=k, rng=generator):
        assert train is not None and test is not None
        scorer = fit(train)
        checked = _with_cold(test, train)
        table, counts = sums(scorer, checked, metrics), _cold_counts(checked, train)
        notes = ("rating's day given",) if _timed(scorer, test) else ()
        reports.append(_report(table, bootstrap([table], n_resamples, generator)[0], metrics, counts, notes))
        tables.append(table)
    whole = Sums(np.sum([t.errors for t in tables], axis=0), np.sum([t.counts for t in tables], axis=0))
    cold = _Cold(*(_total([getattr(r, f) for r in reports]) for f in ("n_cold_users", "n_cold_items", "n_cold_rows")))
    pooled = _report(whole, bootstrap([whole], n_resamples, generator)[0], metrics, cold, reports[0].notes)
    return CrossValidation(tuple(reports), pooled)


class _Cold(NamedTuple):
    users: int | None
    items: int | None
    rows: int | None


def _with_cold(test: Ratings, train: Ratings | None) -> Ratings:
    """The checks on what is measured; ``cold`` filled from train where it is given."""
    test.explicit()
    if train is None:
        return test
    check_same_tables(test, train.tables, "test", "train")
    width = max(test.n_items, 1)
    pairs = test.users.astype(np.int64) * width + test.items
    shared = np.isin(pairs, train.users.astype(np.int64) * width + train.items)
    if shared.any():
        i = int(shared.argmax())
        raise DataError(
            f"{int(shared.sum()):,} of {len(test):,} test ratings are in train, too: the first is user "
            f"{test.user_ids[test.users[i]]!r}, item {test.item_ids[test.items[i]]!r}.",
            hint="hold them out before fitting: an error on known ratings says nothing.",
        )
    return dataclasses.replace(test, cold=cold_rows(train, test))


def _known(rows: np.ndarray, n: int) -> np.ndarray:
    known = np.zeros(n, bool)
    known[rows] = True
    return known


def _cold_counts(test: Ratings, train: Ratings | None) -> _Cold:
    """Counts of cold users, items and rows. From ``test.cold`` alone, whose fault it is can mostly be inferred:
    a user with a warm row is known, and then the item of any cold row of theirs is not; where neither is: None."""
    if test.cold is None:
        return _Cold(None, None, None)
    n_rows = int(test.cold.sum())
    if train is not None:
        known_users, known_items = _known(train.users, test.n_users), _known(train.items, test.n_items)
        return _Cold(
            int((~known_users[np.unique(test.users)]).sum()), int((~known_items[np.unique(test.items)]).sum()), n_rows
        )
    users, items = test.users[test.cold], test.items[test.cold]
    user_known = _known(test.users[~test.cold], test.n_users)[users]  # (cold rows,)
    item_known = _known(test.items[~test.cold], test.n_items)[items]
    cold_users, cold_items = np.unique(users[item_known]), np.unique(items[user_known])
    doubtful = ~(user_known | item_known)
    users_told = np.isin(users[doubtful], cold_users).all()
    items_told = np.isin(items[doubtful], cold_items).all()
    return _Cold(len(cold_users) if users_told else None, len(cold_items) if items_told else None, n_rows)


def _report(table: Sums, draws: np.ndarray, metrics: Sequence[str], cold: _Cold, notes: tuple[str, ...]) -> Report:
    (n, n_warm), errors = table.counts.sum(axis=0), table.errors.sum(axis=0)  # (M, 2)
    values, warm, interval = {}, {}, {}
    for k, name in enumerate(metrics):
        finish = METRICS[name].finish
        values[name] = float(finish(errors[k, 0] / n))
        if n_warm:
            warm[name] = float(finish(errors[k, 1] / n_warm))
        if len(draws):
            interval[name] = percentiles(finish(draws[:, k]))
    n_users = int((table.counts[:, 0] > 0).sum())
    if n_users < 2:
        notes = (*notes, "one user only: no interval.")
    return Report(values, interval, warm, int(n), n_users, *cold, notes)


def _difference(
    reports: Mapping[str, Report], first: str, name: str, draw: np.ndarray, base: np.ndarray, metric: str
) -> Difference:
    value = reports[name].values[metric] - reports[first].values[metric]
    if not len(draw):
        return Difference(value, np.nan, np.nan)
    k = list(reports[name].values).index(metric)
    finish = METRICS[metric].finish
    return Difference(value, *percentiles(finish(draw[:, k]) - finish(base[:, k])))


def _timed(scorer: Scorer, test: Ratings) -> bool:
    return test.times is not None and offers(scorer, Timed)


def _total(counts: Sequence[int | None]) -> int | None:
    return None if None in counts else sum(c for c in counts if c is not None)
