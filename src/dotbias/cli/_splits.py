"""Splits by their names on the command line."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..errors import DataError, SettingError, did_you_mean
from ._options import Reading

if TYPE_CHECKING:
    from ..ratings import Ratings
    from ..split import Split

NAMES = ("lesson", "random:0.2", "last:1", "last-share:0.2", "time:0.2")


def make_split(ratings: Ratings, data: str, text: str, seed: int) -> Split:
    """A split by its name on the command line: lesson, random:0.2, last:1, last-share:0.2, time:0.2, or the data's own.

    Raises:
        SettingError: for a name that is none of these.
    """
    from .. import datasets, split

    name, _, value = text.partition(":")
    try:
        if name == "lesson":
            return split.lesson(ratings, fraction=float(value or 0.2))
        if name == "random":
            return split.random(ratings, test=float(value or 0.1), rng=seed)
        if name == "last":
            return split.last(ratings, n=int(value or 1))
        if name == "last-share":
            return split.last_share(ratings, test=float(value or 0.2))
        if name == "time":
            return split.by_time(ratings, test=float(value or 0.2))
    except ValueError as e:
        if isinstance(e, (SettingError, DataError)):
            raise
        raise SettingError(f"--split {text}: {value!r} is no number.", hint="such as random:0.2 or last:1.") from e
    known = datasets.CATALOGUE[data].splits if data in datasets.CATALOGUE else ()
    if text in known:
        return datasets.split_of(data, text)
    hint = did_you_mean(text, [*NAMES, *known])
    raise SettingError(f"there is no split {text!r} of {data}.", hint=hint)


def split_of(ratings: Ratings, data: str, text: str, seed: int, reading: Reading) -> Split:
    """One split, with the side tables that options name."""
    parts = make_split(ratings, data, text, seed)
    if not _has_own(data, text):
        return parts
    train, test = (None if part is None else reading.with_tables(part) for part in (parts.train, parts.test))
    return dataclasses.replace(parts, train=train, test=test)


def splits_of(ratings: Ratings, data: str, text: str, seed: int, reading: Reading) -> list[Split]:
    """One split or several: folds:5, or names between commas, such as u1,u2,u3,u4,u5.

    Raises:
        SettingError: for a name that is none.
    """
    from .. import split

    name, _, value = text.partition(":")
    if name != "folds":
        return [split_of(ratings, data, each.strip(), seed, reading) for each in text.split(",")]
    if not value.isdecimal():
        raise SettingError(f"--split {text}: {value!r} is no number of folds.", hint="such as folds:5.")
    return list(split.folds(ratings, k=int(value), rng=seed))


def _has_own(data: str, text: str) -> bool:
    """Whether the split is one that the data set comes with, which is read from files of its own."""
    from ..datasets import CATALOGUE

    return data in CATALOGUE and text in CATALOGUE[data].splits
