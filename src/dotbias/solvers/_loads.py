"""Moved to ``_vec``; here until nothing imports it from here."""

from ._vec import prefetch as prefetch
from ._vec import spread as spread
