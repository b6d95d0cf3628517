"""Bayesian factorization machine by Gibbs sampling: no learning rate, no weight decay, every score with its spread.

    r = mean + b_u + b_i + b_d + P_u·Q_i + P_u·D_d + Q_i·D_d + noise

Biases b and factors P, Q of users and items are sums over what is known of them: the row itself, its *bag* (the
items a user rated, the users who rated an item, weighted 1/√n; Koren 2008, and both ways as in Rendle et al. 2019),
its side table's columns. Every group of features has its own normal-gamma prior, learned along (Rendle 2012). Factors
are drawn jointly in blocks of eight (Salakhutdinov & Mnih 2008). With ``ordinal=True`` stars are slices of a hidden
rating (Albert & Chib 1993). The noise is found on a slice held out of train, which is then put back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from ..checkpoint import key_of
from ..errors import SettingError
from ..posterior import Posterior
from ..ratings import Ratings
from ..rng import Rng
from ..settings import checked
from . import _gibbs_checkpoint as checkpoints
from ._compile import announce_compile
from ._gibbs_fit import Bag, Fit, Settings, check, describe, nbytes, which_bags
from ._gibbs_run import Run, Sweep
from ._progress import Progress, telling
from ._threads import threads

ALONE = 500_000  # ratings × factors: with fewer, one thread


@checked
def gibbs(
    ratings: Ratings,
    *,
    n_factors: int = 16,
    n_sweeps: int | None = None,
    item_features: Sequence[str] = (),
    user_features: Sequence[str] = (),
    bags: bool | Sequence[Bag] = False,
    days: bool = False,
    ordinal: bool = False,
    noise: float | Literal["auto", "sampled"] = "auto",
    keep: int = 100,
    chains: int = 1,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress[Sweep] = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 50,
) -> Posterior:
    """Fit a Bayesian factorization machine by Gibbs sampling.

    Args:
        ratings: the training ratings.
        n_factors: K; the error hardly depends on it, the time does.
        n_sweeps: sweeps whose samples count, after those of search and warming up; None: until the average of the
            scores of a slice of train settles, 600 at most.
        item_features: columns of ``ratings.item_table`` to use, such as ("genres",).
        user_features: columns of ``ratings.user_table``.
        bags: use histories: of users ("user"), of items ("item"), of both (True).
        days: use the day of the rating. Scoring then takes times; without them, day effects are zero.
        ordinal: ordered-probit output: scores are expected stars. Otherwise gaussian.
        noise: the standard deviation of a rating around its score, on the ratings' scale; "auto": the one under which
            ratings held out of train (or ``valid``) are scored best, found before sampling for about as long again;
            "sampled": drawn like any parameter, which overfits in long chains.
        keep: samples to keep of each chain, evenly along its sweeps (from ``keep`` to twice as many where ``n_sweeps``
            is None); :func:`posterior_nbytes` foretells their size.
        chains: how many chains; with 2 or more, ``trace.r_hat()`` compares them.
        valid: ratings of the same rows to search the noise and watch the error on, instead of a slice of train.
        rng: seed or Generator; the same rng gives the same bits for any number of threads.
        progress: told of every sweep (:class:`~dotbias.solvers._gibbs_run.Sweep`); True shows a bar on stderr (lines
            where that is no terminal), None does so on a terminal only.
        checkpoint: file written after every ``checkpoint_every`` sweeps; if it is there, the fit goes on from it, to
            the same bits (one chain only). It must be the same fit: ratings, settings, rng.
        checkpoint_every: in sweeps.

    Returns:
        The posterior. Ctrl-C returns what is sampled so far, and its ``notes`` say so.

    Raises:
        DataError: no ratings, or no times, where they are needed; a feature column that is not there.
        SettingError: a setting that makes no sense, samples larger than 4 GB.
        DivergedError: the chain left the finite numbers.
    """
    settings = Settings(
        n_factors=n_factors,
        n_sweeps=n_sweeps,
        item_features=tuple(item_features),
        user_features=tuple(user_features),
        bags=which_bags(bags),
        days=days,
        ordinal=ordinal,
        noise=noise,
        keep=keep,
        chains=chains,
    )
    check(settings, ratings)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and chains > 1:
        raise SettingError(f"a checkpoint holds one chain; chains is {chains}.", hint="chains=1.")
    key, fit = key_of(rng, path), Fit(settings, ratings)
    run = fit.run(key, valid)
    runs, notes = [run], []
    try:
        with announce_compile(), threads(len(ratings) * n_factors, ALONE), telling(progress, _line, None) as tell:
            if path is None:
                _sample(run, tell)
            else:
                about = describe(settings, ratings, valid, key)
                if path.exists():
                    checkpoints.load(path, run, about)
                _sample(run, tell, lambda r: checkpoints.save(path, r, about), checkpoint_every)
            for c in range(1, chains):
                runs.append(fit.again(run, key ^ c))
                _sample(runs[-1], tell)
    except KeyboardInterrupt:
        runs = [r for r in runs if r.trace] or [run]
        notes.append(f"stopped by hand in sweep {runs[-1].chain.sweep}.")
    return fit.posterior(runs, notes)


def posterior_nbytes(
    ratings: Ratings, *, n_factors: int = 16, keep: int = 100, bags: bool | Sequence[Bag] = False, days: bool = False
) -> int:
    """About how many bytes the samples of one chain will take (side tables, being small, not counted)."""
    return nbytes(ratings, n_factors=n_factors, keep=keep, bags=which_bags(bags), days=days)


def _sample(run: Run, tell: Callable[[Sweep], None], save: Callable[[Run], None] | None = None, every: int = 1) -> None:
    """Sweep until the run is done, saving it now and then."""
    going = not run.memory.get("finished", False)
    while going:
        going = run.step()
        run.memory["finished"] = not going
        if save is not None and ((run.chain.sweep - 1) % every == 0 or not going):
            save(run)
        tell(run.progress())


def _line(s: Sweep) -> str:
    """What is shown of a sweep."""
    return f"sampling: {s.phase}, sweep {s.sweep}"
