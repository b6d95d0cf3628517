"""Fitters made of loops that numba compiles: no torch here. ``choice`` says which of them given ratings afford."""

# Imported at once, because each function has its module's name: whoever comes first, `solvers.gibbs` is the function.
from .als import als
from .gibbs import gibbs, posterior_nbytes
from .sgd import sgd

__all__ = ["als", "gibbs", "posterior_nbytes", "sgd"]
