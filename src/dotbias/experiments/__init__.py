"""Experiments: several ways to fit, compared on the same splits with the same seed; and a search of settings.

This room calls fitters and measures what they return; it knows no model.
"""

from .comparing import compare
from .entrants import FromFunction
from .results import Compared, Row
from .searching import Search, Trial, search
from .spaces import Choices, Span, space_of

__all__ = ["Choices", "Compared", "FromFunction", "Row", "Search", "Span", "Trial", "compare", "search", "space_of"]
