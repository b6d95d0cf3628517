"""Experiments: fitters compared on the same splits, a search of settings, and a refit that may not do harm.

This room calls fitters and measures what they return; it knows no model.
"""

from .comparing import compare
from .entrants import FromFunction
from .refit import Refit, refit
from .results import Compared, Row
from .searching import Search, Trial, search
from .spaces import Choices, Span, space_of

__all__ = [
    "Choices",
    "Compared",
    "FromFunction",
    "Refit",
    "Row",
    "Search",
    "Span",
    "Trial",
    "compare",
    "refit",
    "search",
    "space_of",
]
