"""Newcomers just folded in, so that a list, its intervals and its reasons fold the same history in once."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from ..scorer import FoldsIn, Part
from .histories import Known

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
