"""A model on disk: a folder of blobs that never change, and one manifest that is replaced atomically.

    MODEL/manifest.json                    what the model is, and the name, size and SHA-256 of each of its blobs
    MODEL/blobs/<sha256>.safetensors       the scorer's arrays
    MODEL/blobs/<sha256>.parquet           ids, training ratings, side tables, training log

Saving writes new blobs beside the old ones, puts everything on the disk, replaces the manifest in one step and only
then removes what nothing refers to: at any moment of a crash the old or the new model loads. Loading believes nothing
before its hash agrees, and runs nothing that the file names: no pickle, and a scorer's class comes from ``LOADERS``.
What is whole may still be hostile: sizes are known before anything is decoded, and ``check_arrays`` holds every array
against what its kind declares in ``ARRAYS``. ``check_writable`` says before a fit whether it can be saved after it.
This module knows Ratings and a scorer's ``state()``; what a scorer is, it does not.
"""

from ..scorer import State
from .arrays import ARRAYS, Array, check_arrays
from .disk import check_writable
from .manifest import FORMAT, LOADERS
from .model import StoredModel, is_model, load, save

__all__ = [
    "ARRAYS",
    "FORMAT",
    "LOADERS",
    "Array",
    "State",
    "StoredModel",
    "check_arrays",
    "check_writable",
    "is_model",
    "load",
    "save",
]
