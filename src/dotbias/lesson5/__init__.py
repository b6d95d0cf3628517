"""The fast.ai course's names (2018, lesson 5) on top of dotbias: its notebook runs with only the import line changed.

    from dotbias.lesson5 import *

brings what the course's star imports brought. ``torch.manual_seed`` makes a run repeatable. What differs from 2018 is
said where it does: ``get_cv_idxs`` leaves numpy's global generator alone, parameters are saved as safetensors, and a
prediction (B,) against a target (B, 1) is an error. New code is better off with ``dotbias`` itself.
"""

# ruff: noqa: E402 - what is missing is said before it is imported
from ..errors import require as _require

for _library in ("torch", "pandas", "matplotlib", "seaborn", "sklearn"):
    _require(_library, extra="torch,plot")

import math
from operator import itemgetter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch import optim

from .data import CollabFilterDataset, ColumnarModelData, get_cv_idxs
from .libraries import T, V, nn, pd, set_lrs, sns, to_np
from .loop import fit

__all__ = [
    "PCA",
    "CollabFilterDataset",
    "ColumnarModelData",
    "F",
    "Path",
    "T",
    "V",
    "fit",
    "get_cv_idxs",
    "itemgetter",
    "math",
    "nn",
    "np",
    "optim",
    "pd",
    "plt",
    "set_lrs",
    "sns",
    "to_np",
    "torch",
]
