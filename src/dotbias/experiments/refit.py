"""A scheduled refit: fit again on what came in, and replace the model only if that makes it no worse.

A slice of the new ratings is held out. The old model and a new one, fitted on the old train and the rest of the new
ratings, are compared on it: neither has seen it. Is the new one worse beyond doubt (the paired 95 % interval over users
lies wholly on the worse side), nothing is changed. Else the model is fitted on everything and takes the old one's place
in one step. The fitter and its settings are those that the model was saved with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import storage
from ..errors import DataError, SettingError
from ..evaluation import compare
from ..fitters import Fitter, find
from ..ratings import Ratings, check_is_ratings
from ..recommender import Recommender
from ..rng import numpy_rng
from ..scorer import Chances, Ranks, Scorer, Timed, offers
from ..settings import check
from ..solvers import fit_clicks
from ..stopping import stoppable
from ..times import UNKNOWN

METRICS = {"stars": "mse", "clicks": "ndcg@10"}
Fit = Callable[[Fitter, Ratings, int, dict[str, Any]], Scorer]


class Refit(NamedTuple):
    """What a refit came to.

    Attributes:
        replaced: whether the new model is in the old one's place.
        why: in words.
        fitter: its name.
        metric: what was compared.
        old: of the old model on the slice, and ``new`` of the new one.
        difference: new less old, with its 95 % interval from ``low`` to ``high``; None where it could not be had.
        n_new: ratings that came in; ``n_slice`` of them were compared on.
        n_again: how many of those that came in are of pairs that the old train held: the new rating counts.
        n_train: ratings that the model was fitted on in the end; of a refused one, those of the old train.
    """

    replaced: bool
    why: str
    fitter: str
    metric: str
    old: float
    new: float
    difference: float
    low: float | None
    high: float | None
    n_new: int
    n_slice: int
    n_again: int
    n_train: int


def refit(folder: str | Path, new: Ratings, *, share: float = 0.2, seed: int = 0, fit: Fit | None = None) -> Refit:
    """Fit a saved model again on its ratings and new ones, and replace it unless it gets worse beyond doubt.

    Args:
        folder: of the saved model; killed at any moment, the old or the new one is in it.
        new: what came in, read with ``like=storage.load(folder).ratings``.
        share: of the new ratings, to compare on: drawn at random from pairs that the old train does not hold.
        seed: of that draw and of the interval. The fits have the seed that the model was saved with.
        fit: ``fit(fitter, train, seed, settings)``; by default ``fitter.fit`` without any output.

    Raises:
        ModelFileError: if there is no model, or it cannot be replaced.
        SettingError: for a model that does not say how it was fitted, or a share that is none.
        DataError: for no new ratings, or such as do not fit the model's: other ids, clicks for ratings, another scale.
        KeyboardInterrupt: if a fit is ended early; then nothing is changed.
    """
    check_is_ratings(new, "new")
    check(refit, {"share": share, "seed": seed})
    if not 0 < share < 1:
        raise SettingError(f"share is {share!r}.", hint="between 0 and 1, such as 0.2.")
    stored = storage.load(folder)
    run, settings, own_seed = how_fitted(stored.settings)
    old = stored.ratings
    _check(new, old)
    fit = fit or _quietly
    again = np.isin(new.pairs(), _pairs(old, new.n_items))
    held = _slice(again, share, seed)
    rest, part = new.take(~held), new.take(held)
    train = _merged(old, rest)
    fitted = _whole(fit, run, train, own_seed, settings)
    found = _compared(stored.scorer, fitted, part, train, seed)
    sizes: dict[str, Any] = {"n_new": len(new), "n_slice": len(part), "n_again": int(again.sum())}
    if found.pop("worse"):
        why = "the new model is worse, beyond doubt: the old one stays."
        return Refit(replaced=False, why=why, fitter=run.name, **found, **sizes, n_train=len(old))
    everything = _merged(old, new)
    fitted = _whole(fit, run, everything, own_seed, settings)
    sure = "no interval: fewer than two users." if found["low"] is None else "it is not worse beyond doubt."
    done = Refit(replaced=True, why=sure, fitter=run.name, **found, **sizes, n_train=len(everything))
    metrics = {"n_train": len(everything), "refit": done._asdict()}
    clicks = None if stored.clicks is None else fit_clicks(everything, rng=own_seed)
    kept: dict[str, Any] = {"settings": stored.settings, "metrics": metrics, "clicks": clicks}
    Recommender(fitted, everything, **kept).save(folder)  # type: ignore[arg-type]
    return done


def how_fitted(saved: Mapping[str, Any]) -> tuple[Fitter, dict[str, Any], int]:
    """(fitter, settings, seed) that a model was saved with.

    Raises:
        SettingError: where it does not say, or says what this version does not know.
    """
    settings = dict(saved)
    name, seed = settings.pop("fitter", None), settings.pop("seed", 0)
    if not isinstance(name, str):
        hint = 'save it with settings={"fitter": "als", …}, or by dotbias fit RATINGS -o MODEL.'
        raise SettingError("the model does not say which fitter made it.", hint=hint)
    run = find(name)
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    run.check(settings)
    return run, settings, int(seed)


def _check(new: Ratings, old: Ratings) -> None:
    """Refuse new ratings that do not go with the old ones."""
    if not len(new):
        raise DataError("there are no new ratings.", hint="nothing is to be done: the model stays as it is.")
    if new.feedback != old.feedback:
        what = f"the model knows {old.feedback}, and these are {new.feedback}."
        raise DataError(what, hint="read them as the model's were read: rating=False for clicks.")
    if new.values is not None and new.y_range is None:
        (low, high), found = old.scale(), (float(new.values.min()), float(new.values.max()))
        if found[0] < low or found[1] > high:
            what = f"the new ratings are from {found[0]:g} to {found[1]:g}; the model's are from {low:g} to {high:g}."
            raise DataError(what, hint="declare the scale, y_range=(low, high), if that is right.")


def _slice(again: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which of the new ratings (N,) to compare on: a share of those whose pair the old model has not seen.

    Raises:
        DataError: if there are none.
    """
    fresh = numpy_rng(seed).permutation(np.flatnonzero(~again))
    if not len(fresh):
        raise DataError("the model was fitted on all of these pairs.", hint="there is nothing to compare it on.")
    held = np.zeros(len(again), bool)
    held[fresh[: max(1, round(share * len(fresh)))]] = True
    return held


def _merged(old: Ratings, new: Ratings) -> Ratings:
    """Both; where both rate a pair, the new rating."""
    again = np.isin(_pairs(old, new.n_items), new.pairs())
    if old.times is not None and new.times is None:
        new = dataclasses.replace(new, times=np.full(len(new), UNKNOWN))
    return old.take(~again).joined(new)


def _pairs(ratings: Ratings, n_items: int) -> np.ndarray:
    """(N,) a number for each pair of rows, as tables of so many items have it."""
    return ratings.users.astype(np.int64) * n_items + ratings.items


def _quietly(fitter: Fitter, train: Ratings, seed: int, settings: dict[str, Any]) -> Scorer:
    return fitter.fit(train, rng=seed, progress=False, **settings)


def _whole(fit: Fit, run: Fitter, train: Ratings, seed: int, settings: dict[str, Any]) -> Scorer:
    """A fit that was not ended early.

    Raises:
        KeyboardInterrupt: if it was.
    """
    with stoppable() as stop:
        scorer = fit(run, train, seed, settings)
    if stop.asked:
        raise KeyboardInterrupt
    return scorer


def _compared(old: Ranks, new: Scorer, held: Ratings, train: Ratings, seed: int) -> dict[str, Any]:
    """The figures of both on the slice, and whether the new one is worse beyond doubt."""
    name = METRICS[train.feedback]
    both: dict[str, Scorer] = {"old": Grown(old, train.n_items) if train.values is None else old, "new": new}
    held = dataclasses.replace(held, cold=None)
    found = compare(both, held, train=train, metrics=(name,), times="unknown", rng=seed)
    gap = found.differences["new"][name]
    sure = bool(np.isfinite(gap.low) and np.isfinite(gap.high)) and held.user_counts.astype(bool).sum() > 1
    higher_is_better = found.reports["new"].better[name] == "high"
    worse = sure and (gap.high < 0 if higher_is_better else gap.low > 0)
    figures = {k: float(found.reports[k].values[name]) for k in both}
    ends = (float(gap.low), float(gap.high)) if sure else (None, None)
    return {"metric": name, **figures, "difference": float(gap.value), "low": ends[0], "high": ends[1], "worse": worse}


class Grown:
    """A scorer among more items than it knows: those past its table are cold items.

    Args:
        of: the scorer.
        n_items: how many items there are now.
    """

    def __init__(self, of: Ranks, n_items: int):
        self.of, self.n_items, self.tables = of, n_items, of.tables
        self.offers = tuple(p for p in (Scorer, Ranks, Chances, Timed) if offers(of, p))

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """As the scorer's."""
        return self.of.score(users, items, times)

    def rank(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """As the scorer's."""
        return self.of.rank(users, items, times)

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """As the scorer's, and a cold item's for the others (B, I)."""
        return self._grown(self.of.score_all(users, times), self.of.score(users, np.full(len(users), -1), times))

    def rank_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """As the scorer's, and a cold item's for the others (B, I)."""
        return self._grown(self.of.rank_all(users, times), self.of.rank(users, np.full(len(users), -1), times))

    def _grown(self, known: np.ndarray, cold: np.ndarray) -> np.ndarray:
        more = self.n_items - known.shape[1]
        return known if more <= 0 else np.concatenate([known, np.repeat(cold[:, None], more, 1)], 1)
