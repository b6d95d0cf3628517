"""Ids in, ids out: what to recommend to whom, from any scorer.

``Recommender(scorer, train)`` translates ids into rows once, at this door, and answers in native Python types that
``json.dumps`` takes. An answer does not depend on who else is asked about. It meets models through the protocols of
``scorer`` alone; what lists are ordered by is said in ``orders``.
"""

from .answers import Answer, Id, Prediction, Recommendation, Similar, SimilarUser
from .door import Recommender
from .filters import Filters
from .questions import Question
from .reasons import Explanation, Reason

__all__ = [
    "Answer",
    "Explanation",
    "Filters",
    "Id",
    "Prediction",
    "Question",
    "Reason",
    "Recommendation",
    "Recommender",
    "Similar",
    "SimilarUser",
]
