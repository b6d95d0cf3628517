"""What a model knows of the time when it is asked: the rule by which errors are reported as served."""

from __future__ import annotations

from ..ratings import Ratings
from ..split import NEXT
from .summing import Asked


def served_times(test: Ratings, train: Ratings) -> Asked:
    """ "now" for held-out ratings that all came after train, or that are each user's last; "unknown" for others.

    Args:
        test: held-out ratings.
        train: what was learnt from.
    """
    both = test.times is not None and train.times is not None and len(test) > 0 and len(train) > 0
    later = both and test.times.min() > train.times.max()  # type: ignore[union-attr]
    return "now" if later or test.question == NEXT else "unknown"
