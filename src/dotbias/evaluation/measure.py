"""Measuring scorers: one, several on the same rows, or the fits of a cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np

from .. import split
from ..errors import SettingError
from ..metrics import find_metrics, sampled_lists
from ..ratings import Ratings, check_is_ratings
from ..rng import Rng, key, numpy_rng
from ..scorer import Ranks, Scorer, check_rows, demand
from ..settings import Within, check
from . import ranked
from .cold import with_cold
from .reporting import compared
from .reports import Comparison, CrossValidation, Report
from .served import served_times
from .summing import Asked, Metrics, ask_for, check_kind, measure, metrics_for, of_sampled, pooled, popularity

Resamples = Annotated[int, Within(0, "a whole number, 0 or more")]


def evaluate(
    scorer: Scorer,
    test: Ratings,
    *,
    train: Ratings | None = None,
    metrics: Metrics | None = None,
    order: str | ranked.Order = "liked",
    like: float | None = None,
    times: Asked | None = None,
    clicks: Ranks | None = None,
    n_resamples: Resamples = 1000,
    rng: Rng = 0,
) -> Report:
    """Errors, probabilities and lists of ``scorer`` on held-out ratings, each with its interval.

    Cold rows count in the headline: a scorer must answer them (a bilinear one has zero bias and factors there). What a
    scorer that uses times (``Timed``) is told of them is as served, unless ``times`` says otherwise; the report names
    which. Lists are always ranked for now, as ``recommend`` serves them. They hold the
    whole catalogue but what the user rated in train and what nobody did; beside each figure of lists stands that of
    the most popular items (by their number of ratings in train).

    Args:
        scorer: anything that a fitter returns.
        test: held-out ratings or clicks; rows mean what they meant to the scorer.
        train: what the scorer was fitted on: with it, overlap is refused, cold rows and ids are counted for sure, and
            figures are broken down by what is known (``known``). Lists need it.
        metrics: names of METRICS, others such as recall@20, or Metrics. By default rmse, mse and mae; of clicks
            ndcg@10, recall@20 and hit_rate@10, over the full catalogue.
        order: what lists are ordered by: a name of ``orders.ORDERS`` ("liked", as ``recommend`` does by default, or
            "rating"), or a function of the scorer and user rows (B,) that returns (B, I), higher is better.
        like: the rating from which an item is liked: a held-out one is relevant. By default the highest value that at
            least 40 % of train's ratings reach; the report states it. Clicks are all relevant.
        times: what the scorer is told of when ratings were given: "given" (the ratings' own times), "unknown", or "now"
            (after everything in train). By default as served (``served_times``): now where all test ratings came after
            train or are each user's last, else unknown.
        clicks: for the order "liked": a scorer of who rated what, as ``Recommender`` takes it.
        n_resamples: bootstrap draws.
        rng: seed of the draws.

    Raises:
        DataError: for no ratings, clicks where a metric needs ratings, NaN scores, id tables that differ, or pairs
            that train holds.
        SettingError: for metrics that are none, or that the scorer does not support; for lists without train.
    """
    given = {"train": train, "metrics": metrics, "order": order, "like": like, "times": times, "clicks": clicks}
    return compare({"it": scorer}, test, **given, n_resamples=n_resamples, rng=rng).reports["it"]  # type: ignore[arg-type]


def compare(
    scorers: Mapping[str, Scorer],
    test: Ratings,
    *,
    train: Ratings | None = None,
    metrics: Metrics | None = None,
    order: str | ranked.Order = "liked",
    like: float | None = None,
    times: Asked | None = None,
    clicks: Ranks | None = None,
    n_resamples: Resamples = 1000,
    rng: Rng = 0,
) -> Comparison:
    """Several scorers on the same rows: each one's report, and its paired difference to the first.

    The draws of users are shared, so a difference's interval is far narrower than those of the figures themselves.
    Arguments and errors as in :func:`evaluate`.
    """
    if not scorers:
        raise SettingError("there is nothing to compare.", hint="give a dict of names and scorers.")
    check(compare, {"like": like, "times": times, "n_resamples": n_resamples})
    checked = with_cold(test, train)
    asked = metrics_for(test, train) if metrics is None else metrics
    ask = ask_for(asked, order, like, train, times or served_times(test, train))._replace(clicks=clicks)
    check_kind(ask, test, train)
    found = {}
    for name, scorer in scorers.items():
        check_rows(scorer, test, "test")
        found[name] = measure(scorer, checked, train, ask)
    return compared(found, popularity(checked, train, ask), ask, n_resamples, key(rng))


def cross_validate(
    fit: Callable[[Ratings], Scorer],
    ratings: Ratings,
    *,
    k: int = 5,
    rng: Rng = 0,
    metrics: Metrics | None = None,
    order: str | ranked.Order = "liked",
    like: float | None = None,
    times: Asked | None = None,
    n_resamples: Resamples = 1000,
) -> CrossValidation:
    """Fit k times, each on all folds but one, and measure on that one.

    Args:
        fit: any fitter; ``functools.partial(bias, reg_user=5)`` carries settings.
        ratings: what to divide; give it train, and the settings chosen never saw test.
        k: number of folds.
        rng: seed of the folds, and of the bootstrap.
        metrics: as in :func:`evaluate`.
        order: as in :func:`evaluate`.
        like: as in :func:`evaluate`; by default of all the ratings here.
        times: as in :func:`evaluate`.
        n_resamples: bootstrap draws.
    """
    generator = numpy_rng(rng)
    check_is_ratings(ratings, "ratings")
    ask = ask_for(metrics_for(ratings) if metrics is None else metrics, order, like, ratings, times or "unknown")
    check_kind(ask, ratings, None)
    tables, references, reports = [], [], []
    for train, _, test in split.folds(ratings, k=k, rng=generator):
        assert train is not None and test is not None
        checked = with_cold(test, train)
        tables.append(measure(fit(train), checked, train, ask))
        references.append(popularity(checked, train, ask))
        reports.append(compared({"": tables[-1]}, references[-1], ask, n_resamples, key(generator)).reports[""])
    popular = pooled([r for r in references if r is not None]) if ask.lists else None
    whole = compared({"": pooled(tables)}, popular, ask, n_resamples, key(generator)).reports[""]
    return CrossValidation(tuple(reports), whole)


def evaluate_sampled(
    scorer: Ranks,
    users: np.ndarray,
    items: np.ndarray,
    negatives: np.ndarray,
    *,
    metrics: Metrics = ("sampled_hit_rate@10", "sampled_ndcg@10"),
    n_resamples: Resamples = 1000,
    rng: Rng = 0,
) -> Report:
    """The sampled metrics of the NCF protocol (He et al. 2017): each held-out item among given negatives.

    Args:
        scorer: what ranks.
        users: (G,) user rows, each once.
        items: (G,) the held-out item row of each.
        negatives: (G, n) item rows to rank beside it.
        metrics: sampled metrics.
        n_resamples: bootstrap draws.
        rng: seed of the draws.

    Raises:
        SettingError: for a metric that is not a sampled one.
    """
    chosen = find_metrics(metrics)
    for m in chosen:
        if not m.name.startswith("sampled_"):
            raise SettingError(f"{m.name} is no sampled metric.", hint="sampled_hit_rate@10, or evaluate(…).")
    demand(scorer, Ranks, why="ranking", hint="give it what a fitter returns.")
    flat = scorer.rank(np.repeat(users, negatives.shape[1]), negatives.reshape(-1)).reshape(negatives.shape)
    found, ask = of_sampled(chosen, sampled_lists(scorer.rank(users, items), flat), users)
    return compared({"": found}, None, ask, n_resamples, key(rng)).reports[""]
