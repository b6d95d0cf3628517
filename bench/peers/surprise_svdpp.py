"""Surprise's SVDpp."""

import surprise_common
from surprise import SVDpp

surprise_common.run(lambda settings: SVDpp(**settings))
