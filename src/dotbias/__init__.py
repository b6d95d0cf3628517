"""Collaborative filtering, exact and explained: from a table of ratings to recommendations, down to one gradient.

Public names are loaded when first used: importing dotbias imports neither torch nor numba.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for type checkers and editors; at run time, __getattr__ below
    from .baselines import bias as bias
    from .baselines import knn as knn
    from .datasets import planted as planted
    from .errors import DotbiasError as DotbiasError
    from .evaluation import cross_validate as cross_validate
    from .evaluation import evaluate as evaluate
    from .experiments import compare as compare
    from .factors import Factors as Factors
    from .gradient import collab_learner as collab_learner
    from .gradient import fit_dot as fit_dot
    from .gradient import fit_dot_bias as fit_dot_bias
    from .gradient import fit_net as fit_net
    from .ids import Ids as Ids
    from .learner import Learner as Learner
    from .models import DotProduct as DotProduct
    from .models import EmbeddingDot as EmbeddingDot
    from .models import EmbeddingDotBias as EmbeddingDotBias
    from .models import EmbeddingNet as EmbeddingNet
    from .objective import Objective as Objective
    from .posterior import Posterior as Posterior
    from .ratings import Ratings as Ratings
    from .recommender import Prediction as Prediction
    from .recommender import Recommender as Recommender
    from .scorer import offers as offers
    from .solvers import als as als
    from .solvers import auto as auto
    from .solvers import fit_clicks as fit_clicks
    from .solvers import gibbs as gibbs
    from .solvers import sgd as sgd
    from .split import Split as Split

__version__ = "0.1.0"

_HOMES = {
    "ratings": ("Ratings",),
    "ids": ("Ids",),
    "split": ("Split",),
    "datasets": ("planted",),
    "scorer": ("offers",),
    "objective": ("Objective",),
    "factors": ("Factors",),
    "posterior": ("Posterior",),
    "baselines": ("bias", "knn"),
    "solvers": ("als", "auto", "fit_clicks", "gibbs", "sgd"),
    "models": ("DotProduct", "EmbeddingDot", "EmbeddingDotBias", "EmbeddingNet"),
    "learner": ("Learner",),
    "gradient": ("collab_learner", "fit_dot", "fit_dot_bias", "fit_net"),
    "evaluation": ("cross_validate", "evaluate"),
    "experiments": ("compare",),
    "recommender": ("Prediction", "Recommender"),
    "errors": ("DotbiasError",),
}
_TORCH = ("models", "learner", "gradient")  # these need the extra
_ROOMS = (
    *(
        "baselines",
        "callbacks",
        "datasets",
        "evaluation",
        "experiments",
        "fitters",
        "interpret",
        "losses",
        "metrics",
        "optim",
    ),
    *("plots", "schedules", "scorer", "settings", "solvers", "split", "steps", "storage", "workbook"),
)
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name == "__all__":  # without torch, ``import *`` brings what needs none
        return ["__version__", *sorted(n for n, home in _HOME_OF.items() if home not in _TORCH or _has_torch())]
    if name in _HOME_OF:
        value = getattr(_import_module(f".{_HOME_OF[name]}", __name__), name)
    elif name in _ROOMS or name in _HOMES:
        value = _import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module 'dotbias' has no attribute {name!r}")
    globals()[name] = value
    return value


def _has_torch() -> bool:
    try:
        return _find_spec("torch") is not None
    except ValueError:  # somebody put None in sys.modules: it is not to be had
        return False


def __dir__() -> list[str]:
    return sorted({*_HOME_OF, *_ROOMS, "__doc__", "__file__", "__name__", "__path__", "__version__"})
