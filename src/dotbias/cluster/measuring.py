"""Errors on held-out parts, by ranges of users: those that one machine measures, intervals and all.

Every figure is a ratio of two sums over users, and a user's ratings lie in one range in the order of the parts: so the
sums by user, and what is made of them, are those of ``evaluate(scorer, held)``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from ..ids import Ids
from ..rng import Rng, key
from .joining import joined
from .opened import Opened, RatedRows, cuts_of, dealt, distinct, got, merged, opened, task
from .parts import find_parts
from .remote import Place

if TYPE_CHECKING:
    from ..evaluation import Report
    from ..metrics import Metric
    from ..recommender import Recommender
    from . import ClusterFit


def evaluate(
    model: ClusterFit | Recommender | str | Path,
    held: str | Path,
    *,
    metrics: Any = None,
    times: str | None = None,
    n_resamples: int = 1000,
    rng: Rng = 0,
    address: str = "local:2",
    shards: int = 8,
    memory: int = 1 << 30,
) -> Report:
    """Errors of a model on held-out parts, as ``dotbias.evaluate(scorer, held)`` measures them.

    Ids that the model does not know count as cold, as they do there. That a held-out rating was not fitted on cannot be
    checked here: the fit's own ratings are not read.

    Args:
        model: the folder of a saved model, a Recommender, or what ``cluster.fit`` gave.
        held: a folder of Parquet parts.
        metrics: of guesses; by default rmse, mse and mae. Lists need every user's ratings, and are measured on one
            machine, on some of the users.
        times: "unknown" or "now": what the scorer is told; by default as served.
        n_resamples: bootstrap draws.
        rng: seed of the draws.
        address: as in :func:`dotbias.cluster.fit`.
        shards: ranges of users, each a task.
        memory: bytes of the object store of a local cluster.

    Raises:
        SettingError: for metrics that are none, or of lists.
        DataError, FileError: for parts that cannot be read, by name.
    """
    from ..evaluation.reporting import compared
    from ..evaluation.summing import DEFAULT, ask_for
    from ..metrics import find_metrics

    chosen = find_metrics(DEFAULT if metrics is None else metrics)
    _check(chosen, times)
    ask = ask_for(chosen, "rating", None, None, times or "unknown")  # type: ignore[arg-type]
    paths, it = find_parts(held), opened(model)
    with joined(address, memory) as ray:
        users, items = _extended(ray, it, paths)
        cuts = cuts_of(len(users), shards)
        tables = [ray.put(ids.values) for ids in (users, items)]
        deal, measure = task(ray, dealt, num_returns=len(cuts) - 1), task(ray, _measured)
        rows = [deal.remote(path, *tables, cuts) for path in paths]
        pieces = list(zip(*rows, strict=True)) if len(cuts) > 2 else [tuple(rows)]
        given = ray.put((it.scorer, it.train.n_users, it.train.n_items, ask))
        found = [f for f in got(ray, [measure.remote(given, *p) for p in pieces]) if f is not None]
    cold = len(users) - it.train.n_users, len(items) - it.train.n_items
    return compared({"it": _together(found, *cold)}, None, ask, n_resamples, key(rng)).reports["it"]


def _check(metrics: list[Metric], times: str | None) -> None:
    wrong = next((m.name for m in metrics if m.takes == "lists"), None)
    if wrong is not None:
        raise SettingError(f"{wrong} measures lists.", hint="evaluate(…) measures them, on one machine.")
    if times not in (None, "unknown", "now"):
        raise SettingError(f"times is {times!r}.", hint="unknown or now: parts are read without their times.")


def _extended(ray: Any, it: Opened, paths: list[Place]) -> tuple[Ids, Ids]:
    """The model's ids, then those that the parts add, in the order of the parts."""
    users, items = it.train.user_ids, it.train.item_ids
    for found in got(ray, [task(ray, distinct).remote(path) for path in paths]):
        users, items = users.extend(found[0]), items.extend(found[1])
    return users, items


def _measured(given: tuple[Any, int, int, Any], *pieces: RatedRows) -> Any:
    """Sums by user of one range; None where it holds nothing."""
    from ..evaluation.summing import measure
    from ..ratings import Ratings

    scorer, n_users, n_items, ask = given
    rated = merged(pieces)
    if not len(rated.users):
        return None
    cold = (rated.users >= n_users) | (rated.items >= n_items)
    nobody = Ids(range(int(rated.users.max()) + 1)), Ids(range(int(rated.items.max()) + 1))
    held = Ratings(rated.users, rated.items, rated.values, None, *nobody, cold=cold)
    return measure(scorer, held, None, ask)


def _together(found: list[Any], cold_users: int, cold_items: int) -> Any:
    """Ranges as one table, groups in the order that one machine has them in."""
    from ..evaluation.cold import ColdCounts
    from ..evaluation.summing import pooled

    whole = pooled(found)
    order = sorted(whole.sums, key=lambda k: (k[0] != "", ("warm", "cold").index(k[1]) if k[1] else 0))
    rows = sum(int(f.cold.rows or 0) for f in found)
    return whole._replace(
        sums={k: whole.sums[k] for k in order},
        sizes={k: whole.sizes[k] for k in order},
        cold=ColdCounts(cold_users, cold_items, rows),
    )
