"""A search of settings by optuna: cross-validation inside train, ended early where it is hopeless, resumable.

Every trial's suggestion is a function of the trials finished before it and of a seed derived from their number, so a
search that was killed goes on to the same winner. The first trial are the defaults: what wins is at least as good as
they are, on the held-out parts of train.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DivergedError, FileError, SettingError, StoppedWarning, require
from ..evaluation import evaluate, metrics_for, served_times
from ..evaluation.reports import aligned, as_html
from ..fitters import AUTO, Fitter, check_feedback, find
from ..metrics import find_metric
from ..ratings import Ratings
from ..rng import stream
from ..settings import Count, check
from ..split import folds as in_folds
from .entrants import Entrant, by_itself
from .spaces import Choices, Space, Span, space_of

TENTHS = 10  # each held-out part is a tenth of train
ENOUGH = 400_000  # ratings from which one held-out part tells enough
FREE = 6  # trials that are not ended early


class Trial(NamedTuple):
    """One set of settings that was tried.

    Attributes:
        number: from 0.
        settings: of the fitter.
        error: the mean of the measure over the held-out parts that were looked at; None where the fit diverged.
        state: "done"; "ended early", where more than half of the others were better so far; or "diverged".
    """

    number: int
    settings: dict[str, Any]
    error: float | None
    state: str


@dataclass(frozen=True, repr=False)
class Search:
    """What a search found.

    Attributes:
        fitter: its name.
        metric: what was measured.
        best: the trial that won.
        trials: all of them; the first are the defaults.
        space: where it looked.
    """

    fitter: str
    metric: str
    best: Trial
    trials: tuple[Trial, ...]
    space: Space

    @property
    def settings(self) -> dict[str, Any]:
        """The winner's."""
        return self.best.settings

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        trials = [t._asdict() for t in self.trials]
        return {"fitter": self.fitter, "metric": self.metric, "best": self.best._asdict(), "trials": trials}

    def rows(self, n: int = 10) -> list[list[str]]:
        """The best trials as text, and the defaults: a row of heads first."""
        done = sorted((t for t in self.trials if t.state == "done"), key=_rising)[:n]
        shown = done if self.trials[0] in done else [*done, self.trials[0]]
        heads = ["trial", self.metric.upper(), *self.space]
        return [heads, *([_label(t), f"{t.error:.4f}", *(_short(t.settings[s]) for s in self.space)] for t in shown)]

    def footer(self) -> list[str]:
        """What the trials came to."""
        states = [t.state for t in self.trials]
        counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
        return [f"{len(states)} trials of {self.fitter}: {counts}; measured on ratings held out of train."]

    def __repr__(self) -> str:
        return "\n".join([*aligned(self.rows()), *self.footer()])

    def _repr_html_(self) -> str:
        """For notebooks."""
        return as_html(self.rows(), self.footer())


def search(
    fitter: str | Fitter,
    train: Ratings,
    *,
    trials: Count = 40,
    folds: Count | None = None,
    space: Mapping[str, Span | Choices] | None = None,
    settings: Mapping[str, Any] | None = None,
    metric: str | None = None,
    resume: str | Path | None = None,
    rng: int = 0,
    progress: Callable[[Trial, Trial], None] | None = None,
) -> Search:
    """Look for settings that err less on parts held out of train, by optuna's tree of Parzen estimators.

    Every held-out part is a random tenth of train, as of a cross-validation of ten folds of which the first ``folds``
    are looked at, one after the other. After each, a trial ends early whose mean so far is above the median of the
    earlier trials'.

    Args:
        fitter: a name of the list of fitters.
        train: what may be learnt from. Give it the train part: what is held out of *it* chooses.
        trials: how many in all, with those of ``resume``; the first are the defaults.
        folds: held-out parts; by default 3, and 1 from 400,000 ratings on.
        space: setting -> Span or Choices, in place of what ``spaces.space_of`` says.
        settings: others, the same in every trial.
        metric: what to make small (or large, where that is better); by default mse, of clicks ndcg@10.
        resume: an SQLite file, which holds every trial; if it is there, the search goes on.
        rng: seed of the folds, of every fit and of the sampler.
        progress: called with each trial and the best so far.

    Raises:
        SettingError: for settings that make no sense, or a file of another search.
        MissingExtraError: without optuna.
    """
    check(search, {"trials": trials, "folds": folds})
    found = find(fitter) if isinstance(fitter, str) else fitter
    if found.name == AUTO:
        raise SettingError("auto has no settings to search.", hint="name a fitter, such as sgd.")
    fixed = dict(settings or {})
    found.check(fixed)
    looked = {name: span for name, span in space_of(found, space).items() if name not in fixed}
    check_feedback(found.fit, train)
    metric = metric or ("mse" if train.values is not None else metrics_for(train)[0])
    parts = folds or (1 if len(train) >= ENOUGH else 3)
    about = {"fitter": found.name, "train": train.fingerprint(), "metric": metric, "folds": parts, "rng": rng}
    about |= {"settings": fixed, "space": {name: [type(s).__name__, *s] for name, s in looked.items()}}
    with _quiet():
        study = _study(about, find_metric(metric).better, None if resume is None else Path(resume))
        measure = _Held(found, train, parts, metric, fixed, rng)
        first = {name: found.defaults()[name] for name in looked}
        while len(done := _trials(study, fixed, first)) < trials:
            trial = _next(study, looked, first, len(done), rng)
            _run(study, trial, measure, {} if not done else _suggested(trial, looked))
            if progress is not None:
                now = _trials(study, fixed, first)
                progress(now[-1], _best(now, study.direction.name))
    return Search(found.name, metric, _best(done, study.direction.name), tuple(done), looked)


class _Held:
    """The measure of settings on each held-out part of train."""

    def __init__(self, fitter: Fitter, train: Ratings, n: int, metric: str, fixed: dict[str, Any], rng: int):
        parts = list(zip(range(n), in_folds(train, TENTHS, rng=rng), strict=False))
        self.parts = [split for _, split in parts]
        if n > TENTHS:
            raise SettingError(f"folds is {n}.", hint=f"at most {TENTHS}: each is a tenth of train.")
        self.fitter, self.metric, self.fixed, self.rng = fitter, metric, fixed, rng

    def __call__(self, settings: Mapping[str, Any]) -> Iterator[float]:
        """One figure for each part, when it is asked for."""
        for train, _, test in self.parts:
            assert train is not None and test is not None
            own = by_itself(Entrant("", self.fitter.fit, {}, self.fitter, named=True), train)
            asked = {"progress": False, **own, **self.fixed, **settings}
            scorer = self.fitter.fit(train, rng=self.rng, **asked)
            times = served_times(test, train)
            report = evaluate(scorer, test, train=train, metrics=(self.metric,), times=times, n_resamples=0)
            yield report.values[self.metric]


def _run(study: Any, trial: Any, measure: _Held, settings: Mapping[str, Any]) -> None:
    """Measure one trial on part after part, and tell the study."""
    from optuna.trial import TrialState

    figures: list[float] = []
    try:
        for k, figure in enumerate(measure(settings)):
            figures.append(figure)
            trial.report(float(np.mean(figures)), k)
            if k + 1 < len(measure.parts) and trial.should_prune():
                return study.tell(trial, state=TrialState.PRUNED)
    except DivergedError:
        trial.set_user_attr("diverged", value=True)
        return study.tell(trial, state=TrialState.PRUNED)
    return study.tell(trial, float(np.mean(figures)))


def _next(study: Any, space: Space, defaults: Mapping[str, Any], n_done: int, rng: int) -> Any:
    """The next trial: the defaults first, then what the sampler says, whose seed is the number of finished ones."""
    from optuna.samplers import TPESampler

    if n_done == 0:
        study.enqueue_trial({name: _within(defaults[name], span) for name, span in space.items()})
    # a sampler made anew draws the same, however the search came here
    study.sampler = TPESampler(seed=int(stream(rng, n_done).integers(2**31)))
    trial = study.ask()
    _suggested(trial, space)
    return trial


def _within(default: Any, span: Span | Choices) -> Any:
    """Where the sampler shall think that a default lies: of one that depends on the data, or is outside, the middle."""
    if isinstance(span, Choices):
        return default if default in span.values else span.values[0]
    if isinstance(default, (int, float)) and span.low <= default <= span.high:
        return default
    middle = float(np.sqrt(span.low * span.high))
    return round(middle) if span.whole else middle


def _suggested(trial: Any, space: Space) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, span in space.items():
        if isinstance(span, Choices):
            out[name] = trial.suggest_categorical(name, span.values)
        elif span.whole:
            out[name] = trial.suggest_int(name, int(span.low), int(span.high), log=True)
        else:
            out[name] = rounded(trial.suggest_float(name, span.low, span.high, log=True))
    return out


def rounded(value: Any) -> Any:
    """A number to three digits, so that the command that repeats a trial is short, and exact."""
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _study(about: dict[str, Any], better: str, path: Path | None) -> Any:
    """A new study, or that of the file, if it is of the same search; a trial that was cut off counts as never begun."""
    optuna = require("optuna", extra="search")
    from optuna.trial import TrialState

    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    more = {"study_name": "dotbias", "pruner": optuna.pruners.MedianPruner(n_startup_trials=FREE)}
    try:
        storage = None if path is None else optuna.storages.RDBStorage(f"sqlite:///{path}")
        direction = "maximize" if better == "high" else "minimize"
        study = optuna.create_study(storage=storage, direction=direction, load_if_exists=True, **more)
    except Exception as e:
        if path is None or not type(e).__module__.startswith(("sqlalchemy", "optuna")):
            raise
        raise FileError(f"{path} is no file of a search.", hint="name another, or delete it.") from e
    text = json.dumps(about, sort_keys=True)
    there = study.user_attrs.get("about", text)
    if there != text:
        differs = ", ".join(k for k in about if json.loads(there).get(k) != json.loads(text)[k])
        what = f"{path} is of another search: {differs} differ."
        raise SettingError(what, hint="give the same data, fitter, ranges and seed, or another file.")
    study.set_user_attr("about", text)
    for trial in study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING)):
        study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    return study


def _trials(study: Any, fixed: Mapping[str, Any], first: Mapping[str, Any]) -> list[Trial]:
    """Those that are finished, numbered without those that were cut off; the first had the settings ``first``."""
    from optuna.trial import TrialState

    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    out = []
    for k, t in enumerate(finished):
        last = t.value if t.value is not None else t.intermediate_values.get(max(t.intermediate_values, default=0))
        diverged = t.user_attrs.get("diverged", False)
        state = "diverged" if diverged else "done" if t.state is TrialState.COMPLETE else "ended early"
        settings = first if k == 0 else {name: rounded(value) for name, value in t.params.items()}
        out.append(Trial(k, {**fixed, **settings}, None if diverged else last, state))
    return out


def _best(trials: list[Trial], direction: str) -> Trial:
    """The best of those that were measured on every part; of equals the first.

    Raises:
        DivergedError: if there is none.
    """
    done = [t for t in trials if t.state == "done" and t.error is not None]
    if not done:
        raise DivergedError("every trial diverged.", hint="give a narrower --space, or a smaller lr.")
    sign = -1 if direction == "MAXIMIZE" else 1
    return min(done, key=lambda t: sign * (t.error or 0.0))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without optuna's lines, and with Ctrl-C ending the search, not the fit alone."""
    optuna = require("optuna", extra="search")
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", StoppedWarning)
            yield
    except StoppedWarning:
        raise KeyboardInterrupt from None
    finally:
        optuna.logging.set_verbosity(level)


def _rising(trial: Trial) -> float:
    return trial.error if trial.error is not None else float("inf")


def _label(trial: Trial) -> str:
    return f"{trial.number + 1}{' (defaults)' if trial.number == 0 else ''}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
