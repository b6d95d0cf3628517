"""Ids in, ids out: what to recommend to whom, from any scorer.

``Recommender(scorer, train)`` translates ids into rows once, at this door, and answers in native Python types that
``json.dumps`` takes. An answer does not depend on who else is asked about. It meets models through the protocols of
``scorer`` alone; what lists are ordered by is said in ``orders``.
"""

from .answers import Answer, Id, Prediction, Recommendation, Similar, SimilarUser
from .door import Recommender
from .filters import Filters

__all__ = ["Answer", "Filters", "Id", "Prediction", "Recommendation", "Recommender", "Similar", "SimilarUser"]
