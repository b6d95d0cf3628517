"""Fitters made of loops that numba compiles: no torch here. ``auto`` fits with the one that given ratings afford."""

# Imported at once, because each function has its module's name: whoever comes first, `solvers.gibbs` is the function.
from .als import als
from .bpr import bpr
from .choice import auto
from .ease import ease
from .gibbs import gibbs, posterior_nbytes
from .implicit_als import implicit_als
from .sgd import sgd
from .who_rates import fit_clicks

__all__ = ["als", "auto", "bpr", "ease", "fit_clicks", "gibbs", "implicit_als", "posterior_nbytes", "sgd"]
