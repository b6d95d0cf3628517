"""The fitter: settings checked, runs begun, swept, saved and told of, and a Posterior made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ...checkpoint import key_of
from ...errors import SettingError
from ...files import as_path
from ...posterior import Posterior
from ...progress import Progress, Tell, telling
from ...ratings import Ratings
from ...rng import Rng
from ...settings import Count, checked
from ...stopping import Stop, stoppable, warn_stopped
from .._compile import announce_compile
from .._threads import sharing
from ..slices import hold_out
from . import checkpoint as checkpoints
from .chain import HyperPrior, start
from .noise import Halves
from .prepare import Prepared, prepare
from .probe import Probe
from .problem import Problem
from .result import calibrate, posterior
from .run import POINT, SKIP, GibbsRun, GibbsState
from .sample import take
from .settings import GibbsSettings, History, Noise, check, describe, which_histories
from .widths import Parts

SHARED = 1_000_000  # ratings from which loops are shared between threads: with fewer, little is gained
LEAST_RATINGS = 400  # fewer are not worth a slice: the noise is drawn in sample


@checked
def gibbs(
    train: Ratings,
    *,
    n_factors: Count = 24,
    n_sweeps: Count | None = None,
    item_features: Sequence[str] = (),
    user_features: Sequence[str] = (),
    histories: bool | History | Sequence[History] = False,
    sessions: bool = False,
    ordinal: bool = False,
    noise: Noise = "auto",
    keep: Count = 100,
    chains: Count = 1,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: Count = 50,
) -> Posterior:
    """Fit a Bayesian factorization machine by Gibbs sampling.

    Args:
        train: the training ratings.
        n_factors: K; the error hardly depends on it, the time does.
        n_sweeps: sweeps whose samples count, after those of search and warming up; None: until the average of the
            scores of a slice of train settles, 600 at most.
        item_features: columns of ``train.item_table`` to use, such as ("genres",).
        user_features: columns of ``train.user_table``.
        histories: use histories: of users ("user"), of items ("item"), of both (True).
        sessions: use the day of the rating: what a user rated on one day (UTC) has a bias and factors of its own.
            Scores then depend on times; see :mod:`dotbias.times` for what they say of a time that is not given.
        ordinal: ordered-probit output: scores are expected stars. Otherwise gaussian.
        noise: the standard deviation of a rating around its score, on the ratings' scale; "auto": the one under which
            a slice held out of train is scored best, searched before sampling for about as long again (train of fewer
            than 400 ratings: "sampled"); "valid": the same, searched on ``valid``; "sampled": drawn like any other
            parameter, which overfits in long chains.
        keep: thin to ``keep`` samples of each chain, evenly along its sweeps (from ``keep`` to twice as many where
            ``n_sweeps`` is None); :func:`posterior_nbytes` estimates their size.
        chains: how many chains; with 2 or more, ``trace.r_hat()`` compares them.
        valid: ratings whose error is reported with every step and in the trace. They decide nothing, unless
            ``noise="valid"``.
        rng: seed or Generator; the same rng gives the same bits for any number of threads.
        progress: called with a :class:`~dotbias.progress.Step` after every sweep: its ``phase``, how many sweeps are
            ``kept``, the ``noise``, the ``error`` on the slice and on ``valid`` (both RMSE) where known. True shows a
            bar on stderr (lines where that is no terminal), None does so on a terminal only.
        checkpoint: file written after every ``checkpoint_every`` sweeps; if it is there, the fit goes on from it, to
            the same bits (one chain only). It must be the same fit: ratings, settings, rng.
        checkpoint_every: in sweeps.

    Returns:
        The posterior. Ctrl-C returns what is sampled so far, with a :class:`~dotbias.errors.StoppedWarning`.

    Raises:
        DataError: no ratings, or no times, where they are needed; a feature column that is not there.
        SettingError: a setting that makes no sense, samples larger than 4 GB, a checkpoint of another fit.
        ModelFileError: ``checkpoint`` is a file, but no checkpoint.
        DivergedError: the chain left the finite numbers.
    """
    settings = GibbsSettings(
        n_factors=n_factors,
        n_sweeps=n_sweeps,
        item_features=tuple(item_features),
        user_features=tuple(user_features),
        histories=which_histories(histories),
        sessions=sessions,
        ordinal=ordinal,
        noise=noise,
        keep=keep,
        chains=chains,
    )
    check(settings, train, valid)
    path = None if checkpoint is None else as_path(checkpoint)
    if path is not None and chains > 1:
        raise SettingError(f"a checkpoint holds one chain; chains is {chains}.", hint="chains=1.")
    key, prepared = key_of(rng, path), prepare(settings, train)
    run = _first(prepared, key, valid)
    save = None
    if path is not None:
        about = describe(settings, train, valid, key)
        save = partial(checkpoints.save, path, about)
        if path.exists():
            checkpoints.load(path, about, run)
    n_steps = None if run.n_steps is None else chains * run.n_steps
    with (
        announce_compile(),
        sharing(len(train), SHARED),
        telling(progress, n_steps) as tell,
        stoppable() as stop,
    ):
        runs = [swept(run, stop, tell, save, checkpoint_every)]
        while len(runs) < chains and not stop.asked:
            runs.append(swept(_another(prepared, run, key ^ len(runs)), stop, tell, None, checkpoint_every))
    kept = [r for r in runs if r.state.trace] or [run]
    return posterior(prepared, kept, stopped(kept[-1]) if stop.asked else [])


def swept(run: GibbsRun, stop: Stop, tell: Tell, save: Callable[[GibbsRun], None] | None, every: int) -> GibbsRun:
    """The run, done or stopped; saved every so many sweeps, and at its end."""
    while not run.state.finished and not stop.asked:
        run.sweep()
        tell(run.step())
        ends = run.state.finished or stop.asked
        if save is not None and (ends or (run.state.chain.sweep - 1) % every == 0):
            save(run)
    return run


def stopped(run: GibbsRun) -> list[str]:
    """Warn that a fit was stopped, and say so in a note."""
    where = f"after sweep {run.state.chain.sweep - 1}, {len(run.state.trace)} of which count"
    warn_stopped(where, stacklevel=5)
    return [f"stopped by Ctrl-C {where}."]


def _first(prepared: Prepared, key: int, valid: Ratings | None) -> GibbsRun:
    """The first run, before its first sweep."""
    s, train = prepared.settings, prepared.train
    full = prepared.problem(train)
    begin = partial(begin_run, prepared, full, key=key, n_sweeps=s.n_sweeps)
    watched = None if valid is None else prepared.probe(valid)
    if s.noise == "valid" and valid is not None:
        nothing = train.take(np.zeros(len(train), bool))
        parts = Parts(valid, nothing, nothing)
        return begin(searching=full, probe=prepared.probe(valid), watched=watched, precision=None, parts=parts)
    out = hold_out(train, key, timed=prepared.timed)
    parts = Parts(*(train.take(slice) for slice in out))
    search = s.noise == "auto" and len(train) >= LEAST_RATINGS
    searching = prepared.problem(train.take(out.rest)) if search else None
    precision = None if isinstance(s.noise, str) else (prepared.spread / s.noise) ** 2
    probe = prepared.probe(parts.random)
    return begin(searching=searching, probe=probe, watched=watched, precision=precision, parts=parts)


def _another(prepared: Prepared, first: GibbsRun, key: int) -> GibbsRun:
    """Another chain, from its own start, as long as the first and under the noise that it found."""
    out = hold_out(prepared.train, key, timed=prepared.timed)
    parts = Parts(*(prepared.train.take(slice) for slice in out))  # not used: nothing is searched
    begin = partial(begin_run, prepared, first.full, probe=first.probe, watched=first.watched, parts=parts)
    return begin(searching=None, key=key, n_sweeps=len(first.state.trace), precision=first.state.precision)


def begin_run(
    prepared: Prepared,
    full: Problem,
    *,
    searching: Problem | None,
    probe: Probe,
    watched: Probe | None,
    parts: Parts,
    key: int,
    n_sweeps: int | None,
    precision: float | None,
) -> GibbsRun:
    """A run before its first sweep; the arguments are as GibbsRun and GibbsState say."""
    s, edges = prepared.settings, prepared.edges()
    cutpoints = np.r_[-np.inf, edges, np.inf] if s.ordinal else np.zeros(0)
    watched_values = np.zeros(0) if watched is None else watched.values
    state = GibbsState(
        chain=start(full, n_factors=s.n_factors, key=key, precision=precision or 1.0, cutpoints=cutpoints),
        halves=Halves.begin(len(probe.values), POINT - SKIP),
        stride=1 if n_sweeps is None else -(-n_sweeps // s.keep),
        phase="draw" if searching is None else "search",
        precision=precision,
        watched=np.zeros(len(watched_values)),
    )
    return GibbsRun(
        searching=searching,
        full=full,
        probe=probe,
        watched=watched,
        key=key,
        n_sweeps=n_sweeps,
        keep=s.keep,
        prior=HyperPrior(),
        stars=prepared.standard(prepared.stars),
        valid_error=partial(prepared.rmse, watched_values),
        spread=prepared.spread,
        take=partial(take, centre=prepared.centre, spread=prepared.spread),
        calibrate=partial(calibrate, prepared, parts),
        state=state,
    )
