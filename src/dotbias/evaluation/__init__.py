"""How good is a scorer on ratings it has not seen: the error, and how sure we are of it.

Every figure comes with a 95 % percentile interval of a *cluster bootstrap over users* (Efron & Tibshirani 1993, ch. 8
and 13): whole users are drawn with replacement, since one person's ratings err together. The headline covers all rows;
the error on warm rows (user and item both seen in train) stands beside it. Scoring streams in blocks. This module knows
scorers and ratings, not how either was made.
"""

from .measure import compare, cross_validate, evaluate
from .reports import Comparison, CrossValidation, Difference, Report

__all__ = ["Comparison", "CrossValidation", "Difference", "Report", "compare", "cross_validate", "evaluate"]
