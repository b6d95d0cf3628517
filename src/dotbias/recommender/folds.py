"""Newcomers just folded in, so that a list, its intervals and its reasons fold the same history in once."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

from ..errors import SettingError
from ..scorer import FoldsIn, Part, Ranks, demand
from .histories import History, Known, read
from .record import Record

KEPT = 32  # newcomers


class Folds:
    """The last few newcomers of one scorer; threads may share it."""

    def __init__(self) -> None:
        self._parts: OrderedDict[tuple[bytes, bytes], Part] = OrderedDict()
        self._lock = Lock()

    def part(self, scorer: FoldsIn, known: Known) -> Part:
        """The history folded in, or the part it gave a moment ago: the same bits."""
        key = known.rows.tobytes(), known.values.tobytes()
        with self._lock:
            found = self._parts.get(key)
        if found is None:
            found = scorer.fold_in_user(known.rows, known.values)
        with self._lock:
            self._parts[key] = found
            self._parts.move_to_end(key)
            while len(self._parts) > KEPT:
                self._parts.popitem(last=False)
        return found


def newcomer(folds: Folds, scorer: Ranks, record: Record, users: Any, history: History | None) -> tuple[Part, Known]:
    """A history folded into the scorer, and its rows.

    Raises:
        SettingError: for users and a history at once, neither of them, or a scorer that does not support fold-in.
    """
    if users is not None or history is None:
        what = "there are users and a history." if users is not None else "there are neither users nor a history."
        raise SettingError(what, hint="give one of them.")
    hint = "fit a model that does: als, sgd, dot_bias, gibbs or knn."
    folds_in = demand(scorer, FoldsIn, why="fold-in: newcomers need a refit", hint=hint)
    known = read(history, record.train, record.titles)
    return folds.part(folds_in, known), known
