"""How good is a scorer on ratings it has not seen: errors, probabilities and lists, and how sure we are of each.

Every figure comes with a 95 % interval of a *bootstrap over users*: whole users are drawn with replacement, since one
person's ratings err together. The headline covers all rows; the figure on warm rows (user and item both seen in train)
stands beside it, and the report holds the same by group of what is known. Scoring and ranking stream in blocks. This
room knows scorers and ratings, not how either was made.
"""

from ..orders import ORDERS, threshold
from .measure import compare, cross_validate, evaluate, evaluate_sampled
from .reports import Breakdown, Comparison, CrossValidation, Difference, GroupReport, Report
from .served import served_times
from .summing import DEFAULT, OF_CLICKS, SHOWN, MostPopular, metrics_for

__all__ = [
    "DEFAULT",
    "OF_CLICKS",
    "ORDERS",
    "SHOWN",
    "Breakdown",
    "Comparison",
    "CrossValidation",
    "Difference",
    "GroupReport",
    "MostPopular",
    "Report",
    "compare",
    "cross_validate",
    "evaluate",
    "evaluate_sampled",
    "metrics_for",
    "served_times",
    "threshold",
]
