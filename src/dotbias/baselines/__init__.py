"""What every model has to beat: the mean, the most popular, damped biases, and item neighbours over them.

Fitters all: ``Ratings -> Scorer``, without a gradient. They take ``valid`` and ``rng`` like every fitter and need
neither. The defaults come from 5-fold cross-validation inside train of the lesson's split, where the bottom is flat.
This module knows ratings and rows.
"""

from .biases import bias, mean
from .neighbours import Knn, KnnItem, KnnUser, knn
from .popularity import Popular, PopularPart, popular

__all__ = ["Knn", "KnnItem", "KnnUser", "Popular", "PopularPart", "bias", "knn", "mean", "popular"]
