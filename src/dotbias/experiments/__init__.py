"""Experiments: several ways to fit, compared on the same splits with the same seed; a refit that may not do harm.

This room calls fitters and measures what they return; it knows no model.
"""

from .comparing import compare
from .entrants import FromFunction
from .refit import Refit, refit
from .results import Compared, Row

__all__ = ["Compared", "FromFunction", "Refit", "Row", "compare", "refit"]
