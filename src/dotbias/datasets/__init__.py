"""Data to work on: public sets, fetched once from their publishers, and planted worlds whose truth is known.

``entries`` says what there is, ``downloads`` brings it, ``reading`` reads it, ``worlds`` plants what never was.
"""

from __future__ import annotations

from .downloads import download, fetch, find
from .entries import CATALOGUE, Entry, Status, cache_folder, catalogue, entry, where
from .reading import Candidates, candidates_of, load, read_folder, resolve, split_of
from .worlds import World, planted

__all__ = [
    "CATALOGUE",
    "Candidates",
    "Entry",
    "Status",
    "World",
    "cache_folder",
    "candidates_of",
    "catalogue",
    "download",
    "entry",
    "fetch",
    "find",
    "load",
    "planted",
    "read_folder",
    "resolve",
    "split_of",
    "where",
]
