"""One fit over many processes or machines, by Ray: the bits are those of one machine.

    fitted = cluster.fit("als", "parts/", address="local:2", shards=8, n_factors=64, rng=0)
    fitted.scorer        # the Factors that als(train, n_factors=64, rng=0) gives

The data are a folder of Parquet parts, read by the workers. Ids become rows by first appearance, parts in the order of
their names: the rows that ``Ratings`` gives to the parts put one after another. Ratings lie twice: by user shard and by
item shard. A half-step is the solver's own, called with a shard and the other side's factors, which Ray's object store
holds once on each machine. A row's bits depend on its own ratings alone, so the number of workers and shards, and a
worker that dies and whose task is made again, change nothing.

The driver holds the ids, both sides' factors and, while it finds mean and spread, the column of values (4 bytes a
rating); a worker one part or one shard, and the other side's factors. Needs the extra ``cluster``. This module knows no
file of a model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..checkpoint import key_of
from ..errors import SettingError, did_you_mean
from ..factors import Factors
from ..files import as_path
from ..fitters import find, of
from ..ids import Ids
from ..objective import Ridge
from ..progress import Progress, Step, telling
from ..rng import Rng
from .joining import joined
from .listing import WrittenLists, recommend_all
from .measuring import evaluate
from .parts import find_parts

__all__ = ["SHARDED", "ClusterFit", "WrittenLists", "evaluate", "fit", "recommend_all"]

SHARDED = ("als",)  # fitters that can be made by shards, so far


class ClusterFit(NamedTuple):
    """What a fit on a cluster gives.

    Attributes:
        scorer: the fitted model.
        user_ids: row -> id.
        item_ids: row -> id.
        n_ratings: N.
    """

    scorer: Factors
    user_ids: Ids
    item_ids: Ids
    n_ratings: int


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
    checkpoint_every: int = 1,
    **settings: Any,
) -> ClusterFit:
    """Fit by shards, to the bits of one machine.

    Args:
        fitter: "als" or the function itself.
        parts: a folder of Parquet files of one kind, with columns as ``Ratings.from_parquet`` recognises them. A pair
            may come once.
        address: "local:N", N workers on this machine, ended with the fit; or of a running cluster, HOST:PORT. Its
            workers must have dotbias, and read the parts under the same path.
        shards: of each side; several for each worker.
        memory: bytes of the object store of a local cluster.
        rng: as in the fitter.
        progress: told of each pass, with ``bytes``: what went through the object store in it.
        checkpoint: as in the fitter; a fit goes on from it with any number of workers and shards.
        checkpoint_every: in passes.
        **settings: the fitter's, such as ``n_factors``.

    Raises:
        MissingExtraError: without Ray.
        SettingError: for a fitter that has no shards, a wrong setting, or an address where no cluster is.
        DataError, FileError: for parts that cannot be read, or unlike others, by name.
    """
    name = _sharded(fitter)
    if not isinstance(shards, int) or isinstance(shards, bool) or shards < 1:
        raise SettingError(f"shards is {shards!r}.", hint="a whole number from 1 up.")
    find(name).check(settings)
    paths = find_parts(as_path(parts))
    with joined(address, memory) as ray:
        return _fit_als(
            ray,
            paths,
            shards,
            rng,
            progress,
            None if checkpoint is None else as_path(checkpoint),
            checkpoint_every,
            **{**find(name).defaults(), **settings},
        )


def _sharded(fitter: str | Callable[..., Any]) -> str:
    known = fitter if isinstance(fitter, str) else getattr(of(fitter), "name", str(fitter))
    if known not in SHARDED:
        what = f"{known} cannot be fitted by shards."
        raise SettingError(what, hint=did_you_mean(known, SHARDED))
    return known


def _fit_als(
    ray: Any, paths: list[Path], shards: int, rng: Rng, progress: Progress, path: Path | None, every: int, **how: Any
) -> ClusterFit:
    from ..solvers._passes import run
    from .alternating import ShardedAls

    if how.pop("keep_best"):
        raise SettingError("keep_best is True, but a cluster has no valid.", hint="leave it out.")
    reg = Ridge(how["reg_bias_once"], how["reg_once"], how["reg_bias"], how["reg"])
    if not reg.factors + reg.factors_each:
        raise SettingError("reg and reg_once are both 0: rows with few ratings have no answer.", hint="try reg=0.05.")
    under_way = ShardedAls(ray, paths, shards, how["n_factors"], reg, key_of(rng, path), y_range=how["y_range"])
    with telling(progress, how["n_epochs"]) as tell:

        def counted(step: Step) -> None:
            tell(step._replace(values={**step.values, "bytes": under_way.moved}))

        scorer = run(under_way, how["n_epochs"], valid=None, keep_best=False, progress=counted, path=path, every=every)
    return ClusterFit(scorer, under_way.train.user_ids, under_way.train.item_ids, under_way.n)
