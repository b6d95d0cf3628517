"""The fitters by name: one list, which the command line, comparison, search and storage read.

A fitter is a function ``fit(train, *, valid=None, rng=None, progress=None, checkpoint=None, **settings) -> Scorer``.
``functools.partial(als, n_factors=50)`` is the whole configuration system. To add one, write it in a file of its own
and add a line to ``FITTERS``: docs/howto/new-fitter.md. A name finds its function when it is asked for, so reading
this list loads neither numba nor torch.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import DataError, MissingExtraError, SettingError, arg, did_you_mean, require

if TYPE_CHECKING:
    from .ratings import Feedback, Ratings

COMMON = ("train", "valid", "rng", "progress", "checkpoint", "checkpoint_every", "scratch", "callbacks")  # no settings


class Fitter(NamedTuple):
    """A way to fit a model.

    Attributes:
        name: as people type it.
        home: where the function is: "module:function" within dotbias, or the function itself.
        extra: the extra that it needs, or None.
        feedback: the kinds of ratings it takes.
        about: a line for people.
        sharded: whether ``cluster.fit`` makes it by shards.
    """

    name: str
    home: str | Callable[..., Any]
    extra: str | None = None
    feedback: tuple[Feedback, ...] = ("stars",)
    about: str = ""
    sharded: bool = False

    @property
    def fit(self) -> Callable[..., Any]:
        """The function itself.

        Raises:
            MissingExtraError: where it needs a library that is not installed.
        """
        if not isinstance(self.home, str):
            return self.home
        if self.extra is not None:
            _require(self.name, self.extra)
        module, function = self.home.split(":")
        return getattr(import_module(f"dotbias.{module}"), function)

    def defaults(self) -> dict[str, Any]:
        """Its settings, and their defaults."""
        parameters = inspect.signature(self.fit).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in COMMON and p.kind is p.KEYWORD_ONLY}

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings that it does not have, or whose values do not fit: before any data are read.

        Raises:
            SettingError: naming the setting, its value and the default.
        """
        from .settings import check

        known = self.defaults()
        for name in settings:
            if name not in known:
                raise SettingError(f"{self.name} has no setting {name!r}.", hint=did_you_mean(name, known))
        check(self.fit, settings)


AUTO = "auto"
FITTERS = (
    Fitter(
        AUTO,
        "solvers.choice:auto",
        feedback=("stars", "clicks"),
        about="gibbs with everything that is there, or sgd where that takes too long; of clicks ease, or implicit_als",
    ),
    Fitter("mean", "baselines:mean", about="the mean rating"),
    Fitter("popular", "baselines:popular", feedback=("stars", "clicks"), about="items by their number of ratings"),
    Fitter("bias", "baselines:bias", about="the mean, and how far each user and item lies above it"),
    Fitter(
        "knn",
        "baselines:knn",
        feedback=("stars", "clicks"),
        about="what the user rated or clicked among the most similar items; of ratings, over biases",
    ),
    Fitter("dot", "gradient:fit_dot", "torch", about="the lesson's dot product, by gradient"),
    Fitter("dot_bias", "gradient:fit_dot_bias", "torch", about="the lesson's dot product with biases, by gradient"),
    Fitter("net", "gradient:fit_net", "torch", about="the lesson's neural net, by gradient"),
    Fitter(
        "classifier",
        "classifier:classifier",
        "torch",
        feedback=("clicks",),
        about="a model of the lesson as a classifier of clicks, by gradient",
    ),
    Fitter("sgd", "solvers.sgd:sgd", about="biases and factors by stochastic gradient descent, fused", sharded=True),
    Fitter("als", "solvers.als:als", about="biases and factors by alternating least squares", sharded=True),
    Fitter(
        "implicit_als",
        "solvers.implicit_als:implicit_als",
        feedback=("clicks",),
        about="factors by alternating least squares: clicks against everything not clicked",
        sharded=True,
    ),
    Fitter("bpr", "solvers.bpr:bpr", feedback=("clicks",), about="what was clicked before what was not, by pairs"),
    Fitter("ease", "solvers.ease:ease", feedback=("clicks",), about="each item regressed on all others, at once"),
    Fitter(
        "gibbs",
        "solvers.gibbs:gibbs",
        about="biases, factors, histories, side tables and time, by Gibbs sampling",
        sharded=True,
    ),
)


def find(name: str, fitters: Sequence[Fitter] = FITTERS) -> Fitter:
    """The fitter of that name.

    Raises:
        SettingError: for a name that is not a fitter's, with the near miss.
    """
    found = next((f for f in fitters if f.name == name), None)
    if found is None:
        raise SettingError(f"there is no fitter {name!r}.", hint=did_you_mean(name, [f.name for f in fitters]))
    return found


def check_feedback(fit: Callable[..., Any], ratings: Ratings, name: str = "train") -> None:
    """Refuse ratings of the kind that a fitter of the list does not take; of a fitter of your own nothing is known.

    Args:
        fit: the fitter's function.
        ratings: what it is given.
        name: what they are called.

    Raises:
        DataError: naming the fitters that do.
    """
    known = of(fit)
    if known is None or ratings.feedback in known.feedback:
        return
    others = ", ".join(f.name for f in FITTERS if ratings.feedback in f.feedback)
    if ratings.feedback == "clicks":
        what = f"{name} holds clicks, without ratings; {known.name} takes ratings."
        raise DataError(what, hint=f"for clicks: {others}; or name the column of ratings: {arg('rating')}…")
    what = f"{name} holds ratings; {known.name} takes clicks."
    hint = f"read them as clicks: {arg('rating', False)}, or {name}.as_clicks(at_least=4); for ratings: {others}."
    raise DataError(what, hint=hint)


def of(fit: Callable[..., Any]) -> Fitter | None:
    """The fitter of the list whose function this is, or a partial of it; None for a function of your own."""
    while isinstance(fit, functools.partial):
        fit = fit.func
    return next((f for f in FITTERS if _is(fit, f)), None)


def _is(fit: Callable[..., Any], fitter: Fitter) -> bool:
    """Whether a function is a fitter's, by its name and where it is at home: without loading any."""
    if not isinstance(fitter.home, str):
        return inspect.unwrap(fit) is inspect.unwrap(fitter.home)
    module, function = fitter.home.split(":")
    return getattr(fit, "__name__", "") == function and f"{fit.__module__}.".startswith(f"dotbias.{module}.")


def _require(name: str, extra: str) -> None:
    try:
        require(extra, extra=extra)
    except MissingExtraError as e:
        others = "one that needs none: --fitter auto, or --fitter bias" if extra == "torch" else "another fitter"
        raise MissingExtraError(
            f"the fitter {name} needs {extra}, which is not installed.", hint=f"{e.hint}, or take {others}."
        ) from e
