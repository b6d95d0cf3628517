"""Ids as people give them: one or several, of any kind of sequence, known or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import numpy as np

from ..errors import SettingError
from ..ids import Ids
from .answers import Id

Unknown: TypeAlias = Literal["raise", "baseline"]


def is_many(ids: Any) -> bool:
    """Whether these are several ids: anything iterable but text."""
    return isinstance(ids, Iterable) and not isinstance(ids, (str, bytes))


def plain(ids: Iterable[Any]) -> list[Id]:
    """Ids as Python's own numbers and text."""
    return [i.item() if isinstance(i, np.generic) else i for i in ids]


def rows_of(known: Ids, ids: Any, what: str, unknown: Unknown = "raise") -> np.ndarray:
    """The rows of ids (n,) int32; -1 for an id that is not known, where ``unknown`` is "baseline".

    Args:
        known: the ids that there are.
        ids: the ids asked for.
        what: what they are called: "users" or "items".
        unknown: what to do with an id that is not known.

    Raises:
        SettingError: for one id in the place of several, or what is no id.
        UnknownIdError: for an id that is not known, with a near miss.
    """
    if not is_many(ids):
        raise SettingError(f"{what} are given as {ids!r}.", hint=f"a list: [{ids!r}].")
    found = plain(ids)
    for i in found:
        if not isinstance(i, (int, str, float, type(None))):
            raise SettingError(f"among the {what} is {i!r}, which is no id.", hint="ids are whole numbers or text.")
    if unknown == "baseline":
        return np.fromiter((known.row(i) if i in known else -1 for i in found), np.int32, len(found))
    return known.rows(found)


def paired(users: Any, items: Any) -> tuple[list[Id], list[Id]]:
    """Users and items of one length: a single id is paired with each of the other's.

    Raises:
        SettingError: for two lists of different lengths.
    """
    many = is_many(users), is_many(items)
    left, right = ([*plain(ids)] if each else [ids] for ids, each in zip((users, items), many, strict=True))
    if many == (False, True):
        left = left * len(right)
    elif many == (True, False):
        right = right * len(left)
    if len(left) != len(right):
        what = f"predict got {len(left)} users and {len(right)} items: it takes two lists of the same length."
        raise SettingError(what, hint="a single id is paired with each of a list.")
    return left, right
