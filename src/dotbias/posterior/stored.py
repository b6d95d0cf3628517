"""A Posterior as arrays and settings, for ``storage``, and back; also of version 0.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..factors import Factors
from ..ids import Tables
from ..scorer import State
from .newcomers import SidePosterior
from .selection import Selection
from .sessions import SessionPosterior

if TYPE_CHECKING:
    from .samples import Posterior

SIDE_ARRAYS = ("features", "prior_mean", "prior_precision")
SAMPLED = ("mean", "user_bias", "item_bias", "users", "items", "fit_noise")
COUNTS = ("user_counts", "item_counts")


def state_of(of: Posterior) -> State:
    """Everything but the trace; the compressed Factors, too."""
    names = (*SAMPLED, *COUNTS, "stars", "cutpoints")
    arrays: dict[str, np.ndarray] = {name: getattr(of, name) for name in names} | of.sessions.arrays()
    if len(of.selection.items):
        arrays["selection"] = of.selection.items
    compressed = of.factors().state()
    arrays |= {f"compressed.{name}": array for name, array in compressed.arrays.items()}
    settings: dict[str, Any] = {
        "noise": of.noise,
        "star_noise": of.star_noise,
        "ordinal": of.ordinal,
        "carry": of.sessions.carry,
        "widths": of.widths.tolist(),
        "selection": of.selection.strength,
        "held_out": dict(of.held_out),
        "notes": list(of.notes),
        "y_range": [x if np.isfinite(x) else None for x in of.y_range],  # JSON knows no infinity
        "compressed": compressed.settings,
    }
    for name, side in (("user_side", of.user_side), ("item_side", of.item_side)):
        arrays |= {f"{name}.{part}": getattr(side, part) for part in (*SIDE_ARRAYS, "typical")}
        words = ("names", "groups", "scales", "has_history", "shrink")
        settings[name] = {word: _listed(getattr(side, word)) for word in words}
    return State("posterior", arrays, settings)


def fields_from(arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], tables: Tables | None) -> dict[str, Any]:
    """The fields of the Posterior whose :func:`state_of` this is, to the bit, without the trace."""
    low, high = settings["y_range"]
    kept = None
    if "compressed" in settings:
        own = {k.removeprefix("compressed."): a for k, a in arrays.items() if k.startswith("compressed.")}
        kept = Factors.from_state(own, settings["compressed"], tables)
    return {
        **{name: arrays[name] for name in (*SAMPLED, "stars", "cutpoints")},
        **{name: _counts_from(arrays, name) for name in COUNTS},
        "sessions": SessionPosterior.from_arrays(arrays, settings),
        "user_side": _side_from("user_side", arrays, settings),
        "item_side": _side_from("item_side", arrays, settings),
        "noise": settings["noise"],
        "star_noise": settings["star_noise"],
        "ordinal": settings["ordinal"],
        "y_range": (-np.inf if low is None else low, np.inf if high is None else high),
        "widths": np.array(settings.get("widths", [])),
        "selection": Selection(float(settings.get("selection", 0.0)), arrays.get("selection", np.zeros(0, np.float32))),
        "held_out": dict(settings.get("held_out", {})),
        "notes": tuple(settings["notes"]),
        "tables": tables,
        "kept": kept,
    }


def _side_from(name: str, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> SidePosterior:
    words = settings[name]
    parts = {part: arrays[f"{name}.{part}"] for part in SIDE_ARRAYS}
    groups = tuple((str(g), int(a), int(z)) for g, a, z in words["groups"])
    scales = tuple((str(c), float(m), float(s)) for c, m, s in words["scales"])
    has_history = words["has_history"] if "has_history" in words else words["has_bag"]  # version 0.1 said bag
    shrink = float(words.get("shrink", 0.0))  # version 0.1 had none
    typical = arrays.get(f"{name}.typical", np.zeros(len(words["names"]), np.float32))
    more: dict[str, Any] = {"has_history": has_history, "shrink": shrink, "typical": typical}
    return SidePosterior(tuple(words["names"]), groups, scales, **parts, **more)


def _listed(value: Any) -> Any:
    """Tuples as JSON's lists."""
    return [_listed(v) for v in cast("tuple[Any, ...]", value)] if isinstance(value, tuple) else value


def _counts_from(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """The counts of one side; of version 0.1, which kept none: one rating each."""
    if name in arrays:
        return arrays[name]
    bias = arrays[name.replace("counts", "bias")]
    return np.ones(len(bias[0]), np.int32)
