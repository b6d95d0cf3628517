"""The Gibbs sampler's result: S samples of a factor model, whose predictions are averaged and know their spread.

``samples`` holds the Posterior itself, ``newcomers`` what it learns of a new user or item, ``sessions`` what it says of
a rating's day, ``widths`` how wide predictions are, ``compress`` the plain Factors that come nearest to it, ``stars``
how a normal distribution is cut into stars, ``stored`` its arrays on disk. Rows, not ids; numpy.
"""

from .newcomers import PosteriorPart, SidePosterior
from .samples import Posterior
from .sessions import SessionPosterior
from .stars import slices

__all__ = ["Posterior", "PosteriorPart", "SessionPosterior", "SidePosterior", "slices"]
