"""What is compared: fitters by name, fitters' functions, and any other function that learns from train."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import SettingError, StoppedWarning
from ..fitters import Fitter, check_feedback, find, of
from ..progress import Step
from ..ratings import Ratings
from ..scorer import Noted, Ranks, Scorer, offers
from .cost import Cost, costing

Fit = Callable[..., Any]
Fitters = Sequence[str | Fitter] | Mapping[str, str | Fitter | Fit]
OWN = ("rng", "progress", "valid")  # given to a function that takes them


class Entrant(NamedTuple):
    """One row of a comparison, before it is fitted.

    Attributes:
        name: of the row.
        fit: the function.
        settings: what it is called with.
        fitter: of the list of fitters, where it is one of these.
        named: whether it was asked for by the fitter's name, and then gets what the command line would give it.
    """

    name: str
    fit: Fit
    settings: Mapping[str, Any]
    fitter: Fitter | None
    named: bool


class FittedEntrant(NamedTuple):
    """What came of a fit.

    Attributes:
        scorer: the model.
        cost: of the fit.
        log: a row for each step, if it told of them.
        notes: what it warned of.
    """

    scorer: Scorer
    cost: Cost
    log: list[dict[str, Any]]
    notes: tuple[str, ...]


def entrants(fitters: Fitters, settings: Mapping[str, Mapping[str, Any]] | None = None) -> list[Entrant]:
    """Everything that is compared, checked before anything is fitted.

    Raises:
        SettingError: for nothing, a name that is no fitter's or comes twice, or a setting that it does not have.
        MissingExtraError: where one needs a library that is not installed.
    """
    named = fitters if isinstance(fitters, Mapping) else _by_name(fitters)
    settings = settings or {}
    unknown = [name for name in settings if name not in named]
    if not named:
        raise SettingError("there is nothing to compare.", hint="such as compare(['bias', 'sgd'], split.lesson(r)).")
    if unknown:
        raise SettingError(
            f"settings are for {unknown[0]!r}, which is not compared.", hint=f"here: {', '.join(named)}."
        )
    return [_entrant(name, what, settings.get(name, {})) for name, what in named.items()]


def _by_name(fitters: Sequence[str | Fitter]) -> dict[str, str | Fitter | Fit]:
    if isinstance(fitters, (str, bytes)):
        raise SettingError(f"fitters is {fitters!r}.", hint="a list of them, such as ['bias', 'sgd'].")
    named: dict[str, str | Fitter | Fit] = {}
    for fitter in fitters:
        if not isinstance(fitter, (str, Fitter)):
            raise SettingError("a function has no name here.", hint="give a dict: {'mine': function, …}.")
        name = fitter if isinstance(fitter, str) else fitter.name
        if name in named:
            raise SettingError(f"{name} comes twice.", hint="give a dict of names and fitters.")
        named[name] = fitter
    return named


def _entrant(name: str, what: str | Fitter | Fit, settings: Mapping[str, Any]) -> Entrant:
    fitter = find(what) if isinstance(what, str) else what if isinstance(what, Fitter) else None
    if fitter is not None:
        fitter.check(settings)
        return Entrant(name, fitter.fit, settings, fitter, named=True)
    if not callable(what):
        raise SettingError(f"{name} is {what!r}.", hint="a fitter's name, or a function of train.")
    return Entrant(name, what, settings, of(what), named=False)


def check_kind(entrant: Entrant, train: Ratings) -> None:
    """Refuse ratings of the kind that it does not take.

    Raises:
        DataError: naming the fitters that do.
    """
    if entrant.fitter is not None:
        check_feedback(entrant.fitter.fit, train)


def fitted(entrant: Entrant, train: Ratings, rng: int, watch: Ratings | None) -> FittedEntrant:
    """Fit one, counting what it costs.

    Args:
        entrant: what to fit.
        train: what it learns from, and all that it sees.
        rng: the seed that it gets, if it takes one.
        watch: ratings whose error one of our fitters may write into its log; nobody else sees them.

    Raises:
        KeyboardInterrupt: where Ctrl-C ended it early.
    """
    rows: list[dict[str, Any]] = []
    own = {"rng": rng, "progress": lambda step: rows.append(_row(step)), "valid": None}
    if entrant.fitter is not None and not _may_choose(entrant):
        own["valid"] = watch
    given = {k: v for k, v in own.items() if v is not None and _takes(entrant.fit, k)}
    given |= _by_itself(entrant, train) | dict(entrant.settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made, cost = costing(lambda: entrant.fit(train, **given))
    if any(issubclass(w.category, StoppedWarning) for w in caught):
        raise KeyboardInterrupt
    scorer = as_scorer(made, train)
    said = scorer.notes if offers(scorer, Noted) else ()
    return FittedEntrant(scorer, cost, rows, tuple(dict.fromkeys([*(str(w.message) for w in caught), *said])))


def _row(step: Step) -> dict[str, Any]:
    """The numbers of a step, without its histograms."""
    return {k: v for k, v in step.row().items() if isinstance(v, (int, float, str))}


def _by_itself(entrant: Entrant, train: Ratings) -> dict[str, Any]:
    """What ``dotbias fit --fitter NAME`` would give it: for gibbs, all that the data have."""
    if not entrant.named or entrant.fitter is None or entrant.fitter.name != "gibbs":
        return {}
    from ..solvers.choice import everything

    return everything(train)


def _may_choose(entrant: Entrant) -> bool:
    """Whether it chooses by what it watches; then it watches nothing."""
    return entrant.fitter is None or bool(_settings_of(entrant.fit).get("keep_best")) or "keep_best" in entrant.settings


def _settings_of(fit: Any) -> Mapping[str, Any]:
    import functools

    return fit.keywords if isinstance(fit, functools.partial) else {}


def _takes(fit: Fit, name: str) -> bool:
    """Whether a function has a keyword argument of that name (and a partial has not set it)."""
    try:
        parameters = inspect.signature(fit).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters and name not in _settings_of(fit)


class FromFunction:
    """A Scorer made of a function of rows: another library's model in one line.

    Args:
        predict: user rows (B,), item rows (B,) -> guesses (B,), on the ratings' scale.
        train: what it was fitted on.
    """

    offers = (Scorer, Ranks)

    def __init__(self, predict: Callable[[np.ndarray, np.ndarray], Any], train: Ratings):
        self.predict, self.n_items, self.tables = predict, train.n_items, train.tables

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """As the function says.

        Raises:
            SettingError: if it returns another number of guesses.
        """
        guesses = np.asarray(self.predict(users, items), np.float32).reshape(-1)
        if len(guesses) != len(users):
            what = f"the function returned {len(guesses):,} guesses for {len(users):,} pairs."
            raise SettingError(what, hint="it gets user rows (B,) and item rows (B,), and returns (B,).")
        return guesses

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Of every item for each user (B,) -> (B, I)."""
        every = np.arange(self.n_items)
        pairs = np.repeat(users, self.n_items), np.tile(every, len(users))
        return self.score(*pairs).reshape(len(users), self.n_items)

    rank, rank_all = score, score_all


def as_scorer(made: Any, train: Ratings) -> Scorer:
    """What a fit returned, as a Scorer: itself, or a function of user rows and item rows.

    Raises:
        SettingError: for anything else.
    """
    if inspect.isroutine(made) or _is_partial(made):
        return FromFunction(made, train)
    offers(made, Scorer)  # refuses what declares nothing
    return made


def _is_partial(made: Any) -> bool:
    import functools

    return isinstance(made, functools.partial)
