"""Experiments with fitters: a refit that replaces a model only if it is no worse."""

from .refit import Refit, refit

__all__ = ["Refit", "refit"]
