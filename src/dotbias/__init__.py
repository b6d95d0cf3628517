"""Collaborative filtering, exact and explained: from a table of ratings to recommendations, down to one gradient.

Public names are loaded when first used: importing dotbias imports neither torch nor numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "ratings": ("Ids", "Ratings"),
    "split": ("Split",),
    "datasets": ("planted",),
    "scorer": ("offers",),
    "objective": ("Objective",),
    "factors": ("Factors",),
    "posterior": ("Posterior",),
    "solvers": ("als", "auto", "gibbs", "sgd"),
    "models": ("DotProduct", "EmbeddingDot", "EmbeddingDotBias", "EmbeddingNet"),
    "learner": ("Learner",),
    "gradient": ("collab_learner", "fit_dot_bias", "fit_net"),
    "evaluation": ("cross_validate", "evaluate"),
    "recommender": ("Prediction", "Recommender"),
    "errors": ("DotbiasError",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_ROOMS = {
    *("baselines", "callbacks", "interpret", "losses", "metrics", "optim", "plots", "schedules", "split", "steps"),
    *("storage", "workbook"),
}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    elif name in _ROOMS or name in _HOMES:
        value = import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module 'dotbias' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF, *_ROOMS})
