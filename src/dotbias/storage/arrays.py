"""What each kind of model keeps, declared: names, types and shapes of arrays, and what their settings must be.

A model on disk may be sealed and yet hostile: fewer rows than ids, whole numbers for weights, rows that wrap around.
``check_arrays`` holds arrays and settings against the tables below before a scorer is made of them, and before one is
saved. A kind that keeps one more array is given one more line in ``ARRAYS``; a setting is checked if it is named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np

from ..errors import ModelFileError

LARGEST = 1e30  # as for ratings: far from what float32 cannot hold


class Array(NamedTuple):
    """An array that a kind keeps.

    Attributes:
        shape: letters, one per axis: U users, I items; any other letter must be the same number in all arrays of the
            model; ``U+1`` is one more; ``_`` is any. "" is a single number.
        dtype: of numpy, by name.
        values: "rows of X": whole numbers from 0 to X - 1; "offsets to X": rising from 0 to X; "rising".
        optional: whether it may be left out.
    """

    shape: str
    dtype: str = "float32"
    values: str = ""
    optional: bool = False


_FACTORS = {"user_bias": Array("U"), "item_bias": Array("I"), "users": Array("U K"), "items": Array("I K")}
ARRAYS: dict[str, dict[str, Array]] = {  # kind -> name, or a pattern of names -> array
    "factors": _FACTORS,
    "knn": {
        **{f"base.{name}": array for name, array in _FACTORS.items()},
        "neighbours": Array("I M", "int32", "rows of I"),
        "weights": Array("I M"),
        "starts": Array("U+1", "int64", "offsets to N"),
        "items": Array("N", "int32", "rows of I"),
        "residuals": Array("N"),
    },
    "item_weights": {
        "rows": Array("M", "int32", "rows of I"),
        "weights": Array("M M"),
        "precision": Array("M"),
        "starts": Array("U+1", "int64", "offsets to N"),
        "items": Array("N", "int32", "rows of M"),
    },
    "posterior": {
        "mean": Array("S"),
        "user_bias": Array("S U"),
        "item_bias": Array("S I"),
        "users": Array("S U K"),
        "items": Array("S I K"),
        "user_counts": Array("U", "int32", optional=True),
        "item_counts": Array("I", "int32", optional=True),
        "sessions.users": Array("D", "int32", optional=True),
        "sessions.days": Array("D", "int64", optional=True),
        "sessions.counts": Array("D", "int32", optional=True),
        "sessions.effects": Array("S D J+1", optional=True),
        "sessions.precision": Array("S J+1", optional=True),
        "days": Array("D", "int64", "rising", optional=True),  # of version 0.1: everyone's
        "day_bias": Array("S D", optional=True),
        "day_factors": Array("S D _", optional=True),
        "fit_noise": Array("S"),
        "selection": Array("I", optional=True),
        "stars": Array("L", "float64", "rising"),
        "cutpoints": Array("C", "float64", "rising"),
        "user_side.features": Array("S F J+1"),
        "user_side.prior_mean": Array("S G J+1"),
        "user_side.prior_precision": Array("S G J+1"),
        "user_side.typical": Array("F", optional=True),
        "item_side.typical": Array("E", optional=True),
        "item_side.features": Array("S E J+1"),
        "item_side.prior_mean": Array("S H J+1"),
        "item_side.prior_precision": Array("S H J+1"),
        **{f"compressed.{k}": a._replace(shape=a.shape.replace("K", "R"), optional=True) for k, a in _FACTORS.items()},
    },
    "net": {
        "u.weight": Array("U+1 A"),
        "i.weight": Array("I+1 B"),
        "user_side.table": Array("U+1 P", optional=True),
        "user_side.weight": Array("P X", optional=True),
        "item_side.table": Array("I+1 Q", optional=True),
        "item_side.weight": Array("Q X", optional=True),
        "layers.*.weight": Array("_ _", optional=True),
        "layers.*.bias": Array("_", optional=True),
        "last.weight": Array("1 _"),
        "last.bias": Array("1"),
        "range.*": Array("", optional=True),
    },
}


def check_arrays(
    kind: str, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], n_users: int, n_items: int
) -> None:
    """Hold a scorer's state against what its kind keeps.

    Args:
        kind: a key of ``ARRAYS``; of other kinds nothing is known, and nothing is checked.
        arrays: name -> array.
        settings: the scorer's settings.
        n_users: U, the number of user ids.
        n_items: I, the number of item ids.

    Raises:
        ModelFileError: for the first thing that does not fit: a name, a type, a shape, values, a setting.
    """
    declared = ARRAYS.get(kind)
    if declared is None:
        return
    for name in declared:
        if not declared[name].optional and "*" not in name and name not in arrays:
            raise ModelFileError(f"the array {name} of the {kind} model is missing.")
    lengths = {"U": n_users, "I": n_items}
    for name, array in sorted(arrays.items(), key=lambda pair: list(declared).index(_declared(kind, pair[0]))):
        expected = declared[_declared(kind, name)]
        _check_shape(name, array, expected, lengths)
        _check_values(name, array, expected, lengths)
    wrong = _wrong_setting(settings, SETTINGS.get(kind, {}))
    if wrong is not None:
        raise ModelFileError(f"the setting {wrong} of the {kind} model is {settings.get(wrong)!r}.")
    if kind in FITS:
        FITS[kind](arrays, settings, lengths)


def _declared(kind: str, name: str) -> str:
    """The name or pattern under which an array is declared."""
    found = next((pattern for pattern in ARRAYS[kind] if fnmatchcase(name, pattern)), None)
    if found is None:
        raise ModelFileError(f"a {kind} model has no array {name!r}.")
    return found


def _check_shape(name: str, array: np.ndarray, expected: Array, lengths: dict[str, int]) -> None:
    """Type and shape; letters met for the first time are bound to their lengths."""
    axes = expected.shape.split()
    if array.dtype != np.dtype(expected.dtype):
        raise ModelFileError(f"the array {name} holds {array.dtype}, not {expected.dtype}.")
    fits = array.ndim == len(axes)
    for axis, n in zip(axes, array.shape, strict=False):
        letter, _, more = axis.partition("+")
        if letter == "_":
            continue
        wanted = int(letter) if letter.isdecimal() else lengths.setdefault(letter, n - int(more or 0))
        fits = fits and n == wanted + int(more or 0) and wanted >= 0
    if not fits:
        known = ", ".join(f"{k} = {n}" for k, n in lengths.items() if re.search(rf"\b{k}\b", expected.shape))
        shape = f"({', '.join(axes)}){f' with {known}' if known else ''}"
        raise ModelFileError(f"the array {name} has the shape {array.shape}, not {shape}.")


def _check_values(name: str, array: np.ndarray, expected: Array, lengths: dict[str, int]) -> None:
    if array.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            if not math.isfinite(float(array.sum(dtype=np.float64))):
                raise ModelFileError(f"the array {name} holds NaN or infinities.")
    what, letter = (expected.values.split() or [""])[0], expected.values[-1:]
    if what == "rows" and array.size and not 0 <= array.min() <= array.max() < lengths[letter]:
        raise ModelFileError(f"the array {name} names rows outside the {lengths[letter]}.")
    if what in ("rising", "offsets") and not (array[1:] >= array[:-1]).all():
        raise ModelFileError(f"the array {name} does not rise.")
    if what == "offsets":
        end = lengths.setdefault(letter, int(array[-1]))
        if array[0] != 0 or array[-1] != end:
            raise ModelFileError(f"the array {name} goes from {array[0]} to {array[-1]}, not from 0 to {end}.")


# Settings ------------------------------------------------------------------------------------------------------


Check = Callable[[Any], bool]


def is_number(value: Any) -> bool:
    """A number that float32 holds, no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def is_range(value: Any) -> bool:
    """Two numbers, the lower one first; None for no limit."""
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(x is None or is_number(x) for x in value):
        return False
    return None in value or value[0] < value[1]


def _is_ridge(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"bias", "factors", "bias_each", "factors_each"}:
        return False
    return all(x is None or (is_number(x) and x >= 0) for x in value.values())  # None: infinite


def _is_confidence(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"unseen", "count_power", "reg_power"}:
        return False
    return all(is_number(x) and x >= 0 for x in value.values())


def _is_factors(value: Any) -> bool:
    return isinstance(value, dict) and _wrong_setting(value, SETTINGS["factors"]) is None


def _wrong_setting(settings: Mapping[str, Any], checks: Mapping[str, Check]) -> str | None:
    """The first setting that is missing or not as it must be; a name that ends in ``?`` may be missing."""
    for name, check in checks.items():
        bare = name.removesuffix("?")
        if not (check(settings[bare]) if bare in settings else name.endswith("?")):
            return bare
    return None


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(x, str) for x in value)


def _has_history(side: Mapping[str, Any]) -> Any:
    return side.get("has_history", side.get("has_bag"))  # the second: of version 0.1


def _is_side(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(_has_history(value), bool) or not _is_texts(value.get("names")):
        return False
    groups, scales = value.get("groups"), value.get("scales")
    if not isinstance(groups, list) or not isinstance(scales, list):
        return False
    threes = all(isinstance(x, list) and len(x) == 3 and isinstance(x[0], str) for x in (*groups, *scales))
    threes = threes and all(is_number(x) for triple in (*groups, *scales) for x in triple[1:])
    return threes and is_number(value.get("shrink", 0))


SETTINGS: dict[str, dict[str, Check]] = {
    "factors": {
        "mean": is_number,
        "link": lambda x: isinstance(x, str) and x in ("identity", "sigmoid"),
        "y_range": is_range,
        "loss?": lambda x: isinstance(x, str),
        "reg?": _is_ridge,  # of version 0.1, for both sides
        "user_reg?": _is_ridge,
        "item_reg": lambda x: x is None or _is_ridge(x),
        "confidence?": _is_confidence,
        "negatives?": lambda x: is_number(x) and x >= 0,
    },
    "knn": {"base": _is_factors, "shrink": is_number, "amplify": is_number, "damping": is_number},
    "posterior": {
        "noise": is_number,
        "star_noise": is_number,
        "carry?": is_number,
        "selection?": is_number,
        "held_out?": lambda x: isinstance(x, dict) and all(map(is_number, x.values())),
        "widths?": lambda x: isinstance(x, list) and len(x) in (0, 6) and all(map(is_number, x)),
        "ordinal": lambda x: isinstance(x, bool),
        "y_range": is_range,
        "notes": _is_texts,
        "user_side": _is_side,
        "item_side": _is_side,
        "compressed?": _is_factors,
    },
    "item_weights": {"ridge?": lambda x: is_number(x) and x >= 0},
    "net": {
        "y_range": lambda x: is_range(x) and None not in x,
        "config": lambda x: isinstance(x, dict),
        "mean?": is_number,
        "noise?": lambda x: is_number(x) and x > 0,
        "negatives?": lambda x: is_number(x) and x >= 0,
    },
}


_SESSIONS = tuple(f"sessions.{x}" for x in ("users", "days", "counts", "effects", "precision"))


# What ties arrays and settings together ------------------------------------------------------------------------


def _posterior_fits(arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], lengths: dict[str, int]) -> None:
    """Stars and cutpoints, sessions, histories' columns, and each side's groups of features."""
    stars, cuts, k, own = lengths["L"], lengths["C"], lengths["K"], lengths["J"]
    columns = sum(_has_history(settings[side]) for side in ("user_side", "item_side"))
    if lengths["S"] < 1 or cuts != max(stars - 1, 0) or (settings["ordinal"] and not stars):
        raise ModelFileError(f"{lengths['S']} samples, {stars} stars and {cuts} cutpoints do not fit.")
    if k != own + columns or ("day_factors" in arrays and lengths["D"] and arrays["day_factors"].shape[2] != own):
        raise ModelFileError(f"{k} factors do not fit {own} own ones and {columns} of histories.")
    if sum(name in arrays for name in _SESSIONS) not in (0, len(_SESSIONS)) or ("days" in arrays) == (
        "sessions.days" in arrays
    ):
        raise ModelFileError("the arrays of sessions are not whole.")
    for side, features, priors, others in (("user_side", "F", "G", "I"), ("item_side", "E", "H", "U")):
        words = settings[side]
        ends = [z for _, _, z in words["groups"]]
        starts = [a for _, a, _ in words["groups"]]
        whole = starts == [0, *ends][: len(ends)] and ([0, *ends])[-1] == lengths[features] and sorted(ends) == ends
        history = not _has_history(words) or (ends and ends[0] == lengths[others])
        if not whole or not history or len(words["names"]) != lengths[features] or lengths[priors] != 1 + len(ends):
            raise ModelFileError(f"the feature groups of {side} do not fit its {lengths[features]} features.")


def _net_fits(arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], lengths: dict[str, int]) -> None:
    """The sizes that a net is built by are those of its arrays: a small file must not ask for a large net."""
    config = settings["config"]
    sizes, hidden, times = config.get("n_factors"), config.get("hidden"), config.get("times")
    found = [lengths["A"], lengths["B"]]
    layers = [arrays[f"layers.{j}.weight"].shape[0] for j in range(len(arrays)) if f"layers.{j}.weight" in arrays]
    sides = [arrays[name].shape[1] for name in ("user_side.weight", "item_side.weight") if name in arrays]
    fits = ([sizes, sizes] if isinstance(sizes, int) else sizes) == found and hidden == layers
    fits = fits and isinstance(hidden, list) and all(n == config.get("feature_size") for n in sides)
    fits = fits and (config.get("y_range") is None or is_range(config["y_range"]))
    if not fits or not isinstance(config.get("learn_padding"), bool):
        raise ModelFileError("the sizes in the net's settings are not those of its arrays.")
    timed = isinstance(times, list) and len(times) == 2 and all(map(is_number, times)) and times[1] != 0
    if times is not None and not timed:
        raise ModelFileError(f"the net's times are {times!r}.")


def _item_weights_fit(arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], lengths: dict[str, int]) -> None:
    """The items with weights are named in order, each once."""
    if not (np.diff(arrays["rows"]) > 0).all():
        raise ModelFileError("the array rows does not rise.")


FITS: dict[str, Callable[[Mapping[str, np.ndarray], Mapping[str, Any], dict[str, int]], None]] = {
    "posterior": _posterior_fits,
    "net": _net_fits,
    "item_weights": _item_weights_fit,
}
