"""What the model learned, for people: rankings by bias, components, neighbours, one prediction taken apart.

Every function takes a scorer and the ``train`` that it was fitted on, and answers in ids, titles and native Python
numbers. It meets models through ``factors()`` alone, knows no file and draws nothing; numpy only.
"""

from .biases import Bias, item_biases, user_biases
from .components import Canonical, Components, canonical, components, course_components
from .divisive import Divided, divisive
from .listing import Listing
from .nearest import SHRINK, Measure, Neighbour, nearest, nearest_items, nearest_users, top
from .terms import Decomposition, Term, explain

__all__ = [
    "SHRINK",
    "Bias",
    "Canonical",
    "Components",
    "Decomposition",
    "Divided",
    "Listing",
    "Measure",
    "Neighbour",
    "Term",
    "canonical",
    "components",
    "course_components",
    "divisive",
    "explain",
    "item_biases",
    "nearest",
    "nearest_items",
    "nearest_users",
    "top",
    "user_biases",
]
