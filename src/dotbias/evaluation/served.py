"""What a model knows of the time when it is asked: the rule by which errors are reported as served."""

from __future__ import annotations

from ..ratings import Ratings
from ..split import NEXT
from .summing import Asked


def served_times(test: Ratings, train: Ratings | None) -> Asked:
    """ "now" for held-out ratings that all came after train, or that are each user's last; "unknown" for others.

    Args:
        test: held-out ratings.
        train: what was learnt from; None where that is not known.
    """
    before = None if train is None or not len(train) else train.times
    later = test.times is not None and before is not None and len(test) > 0 and test.times.min() > before.max()
    return "now" if later or test.question == NEXT else "unknown"
