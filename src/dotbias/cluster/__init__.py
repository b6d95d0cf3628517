"""One fit over many processes or machines, by Ray: the bits are those of one machine.

    fitted = cluster.fit("als", "parts/", address="local:2", shards=8, n_factors=64, rng=0)
    fitted.scorer        # the Factors that als(train, n_factors=64, rng=0) gives

The data are a folder of Parquet parts, read by the workers. Ids become rows by first appearance, parts in the order of
their names: the rows that ``Ratings`` gives to the parts put one after another. A half-step is the solver's own,
called with a shard and the other side's factors, which Ray's object store holds once on each machine. A row's bits
depend on its own ratings alone, so the number of workers and shards, and a worker that dies and whose task is made
again, change nothing.

The driver holds the ids, both sides' factors and, while it finds mean and spread, the column of values (4 bytes a
rating); a worker one part or one shard, and the other side's factors. Needs the extra ``cluster``. This module knows no
file of a model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..checkpoint import key_of
from ..errors import SettingError
from ..files import as_path
from ..fitters import FITTERS, find, of
from ..ids import Ids
from ..progress import Progress, Step, telling
from ..rng import Rng
from .job import Job
from .joining import joined
from .listing import WrittenLists, recommend_all
from .measuring import evaluate
from .parts import find_parts
from .shards import Shards

if TYPE_CHECKING:
    from ..factors import Factors
    from ..posterior import Posterior
    from ..ratings import Feedback

__all__ = ["SHARDED", "ClusterFit", "WrittenLists", "evaluate", "fit", "recommend_all"]

SHARDED = tuple(f.name for f in FITTERS if f.sharded)
HOMES = {"als": "alternating", "implicit_als": "alternating", "sgd": "rotating", "gibbs": "sampling"}  # fit_NAME


class ClusterFit(NamedTuple):
    """What a fit on a cluster gives.

    Attributes:
        scorer: the fitted model.
        user_ids: row -> id.
        item_ids: row -> id.
        n_ratings: N.
        feedback: "stars" or "clicks".
        y_range: the least and the highest rating; None of clicks, or where all are equal.
    """

    scorer: Factors | Posterior
    user_ids: Ids
    item_ids: Ids
    n_ratings: int
    feedback: Feedback = "stars"
    y_range: tuple[float, float] | None = None


def fit(
    fitter: str | Callable[..., Any],
    parts: str | Path,
    *,
    address: str = "local:2",
    shards: int = 8,
    memory: int = 1 << 30,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int | None = None,
    **settings: Any,
) -> ClusterFit:
    """Fit by shards, to the bits of one machine.

    Args:
        fitter: one of ``SHARDED``, or the function itself.
        parts: a folder of Parquet files of one kind, with columns as ``Ratings.from_parquet`` recognises them; or what
            fsspec opens, such as ``s3://bucket/parts``. A pair may come once.
        address: "local:N", N workers on this machine, ended with the fit; or of a running cluster, HOST:PORT. Its
            workers must have dotbias, and read the parts under the same path.
        shards: of each side; several for each worker.
        memory: bytes of the object store of a local cluster.
        rng: as in the fitter.
        progress: told of each step, with ``bytes``: what went through the object store in it.
        checkpoint: as in the fitter; a fit goes on from it with any number of workers and shards.
        checkpoint_every: in steps; by default as in the fitter.
        **settings: the fitter's, such as ``n_factors``.

    Raises:
        MissingExtraError: without Ray.
        SettingError: for a fitter that has no shards, a wrong setting, or an address where no cluster is.
        ClusterError: where the cluster fails: its workers have another dotbias, or die again and again, or its object
            store is full.
        DataError, FileError: for parts that cannot be read, or unlike others, by name.
    """
    name = sharded(fitter)
    if not isinstance(shards, int) or isinstance(shards, bool) or shards < 1:
        raise SettingError(f"shards is {shards!r}.", hint="a whole number from 1 up.")
    known = find(name)
    known.check(settings)
    how, paths = {**known.defaults(), **settings}, find_parts(parts)
    path = None if checkpoint is None else as_path(checkpoint)
    with joined(address, memory) as ray, telling(progress, how.get("n_epochs")) as tell:
        made: list[Shards] = []

        def begin() -> Shards:
            made.append(Shards(ray, paths, shards, known.feedback[0]))
            return made[0]

        every = checkpoint_every or inspect.signature(known.fit).parameters["checkpoint_every"].default
        job = Job(begin, key_of(rng, path), partial(_tell, tell, made), path, every)
        scorer = getattr(import_module(f".{HOMES[name]}", __name__), f"fit_{name}")(job, **how)
    found = made[0]
    return ClusterFit(scorer, found.train.user_ids, found.train.item_ids, found.n, known.feedback[0], found.y_range)


def _tell(tell: Callable[[Step], None], made: list[Shards], step: Step) -> None:
    """Tell of a step, and the bytes that were moved in it."""
    moved, made[0].moved = made[0].moved, 0
    tell(step._replace(values={**step.values, "bytes": moved}))


def sharded(fitter: str | Callable[..., Any]) -> str:
    """The name of a fitter that can be made by shards.

    Raises:
        SettingError: for one that cannot, naming those that can.
    """
    known = find(fitter) if isinstance(fitter, str) else of(fitter)
    name = str(fitter) if known is None else known.name
    if known is None or not known.sharded:
        raise SettingError(f"{name} cannot be fitted by shards.", hint=f"these can: {', '.join(SHARDED)}.")
    return name
