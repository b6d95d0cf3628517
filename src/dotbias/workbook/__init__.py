"""Workbooks with living formulas and no macros: every gradient in a cell, from your own ratings.

``collab`` is the lesson's collaborative filtering, with gradient descent on the sheet; ``of_model`` shows a fitted
model's own numbers; ``descent`` compares optimizers on a straight line. Needs the extra ``xlsx``; neither torch nor
numba is loaded.
"""

from __future__ import annotations

from ._descend import Settings
from .collab import collab
from .descent import descent
from .model import of_model

__all__ = ["Settings", "collab", "descent", "of_model"]
