"""Surprise's SVD."""

import surprise_common
from surprise import SVD

surprise_common.run(lambda settings: SVD(**settings))
