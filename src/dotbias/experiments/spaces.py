"""Where a search looks: a range for each setting, from a fitter's defaults, their annotations and a small table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import SettingError, did_you_mean
from ..fitters import Fitter
from ..settings import annotation, fits

Value = int | float | str | bool


class Span(NamedTuple):
    """Numbers from low to high, both inside, drawn evenly on a logarithmic scale.

    Attributes:
        low: above 0.
        high: above low.
        whole: whole numbers only.
    """

    low: float
    high: float
    whole: bool = False


class Choices(NamedTuple):
    """One of a few values."""

    values: tuple[Value, ...]


Space = Mapping[str, Span | Choices]
TIMES = {  # a setting of this name is looked for from its default times the first, to its default times the second
    "n_epochs": (0.5, 2.0),
    "lr": (0.2, 5.0),
    "wd": (0.1, 10.0),
    "reg": (0.1, 10.0),
    "reg_once": (0.1, 10.0),
    "reg_bias": (0.1, 10.0),
    "reg_bias_once": (0.1, 10.0),
    "unseen": (0.1, 10.0),
    "shrink": (0.1, 10.0),
    "damping": (0.1, 10.0),
}
FROM_TO = {  # whatever the default; also where it is None, which says that it depends on the data
    "n_factors": (8, 128),
    "n_neighbours": (10, 200),
    "shrink": (1.0, 300.0),
    "unseen": (0.003, 0.3),
    "reg": (0.0005, 0.05),
}


def space_of(fitter: Fitter, given: Mapping[str, Span | Choices] | None = None) -> dict[str, Span | Choices]:
    """The ranges of a fitter's settings; those that are given replace them, and may add others.

    Raises:
        SettingError: for a setting that it does not have, a value that it would refuse, or nothing to search.
    """
    defaults = fitter.defaults()
    for name, span in (given or {}).items():
        if name not in defaults:
            raise SettingError(f"{fitter.name} has no setting {name!r}.", hint=did_you_mean(name, defaults))
        for value in span.values if isinstance(span, Choices) else span[:2]:
            fitter.check({name: int(value) if isinstance(span, Span) and span.whole else value})
    found = {name: span for name in defaults if (span := _range(fitter, name, defaults[name])) is not None}
    space = found | dict(given or {})
    if not space:
        raise SettingError(
            f"{fitter.name} has no setting that a search knows.", hint="name one: --space NAME=LOW:HIGH."
        )
    return space


def _range(fitter: Fitter, name: str, default: Any) -> Span | None:
    """What the table says of one setting; None where it says nothing."""
    hint = annotation(fitter.fit, name)
    number = isinstance(default, (int, float)) and not isinstance(default, bool) and default > 0
    if number and name in TIMES and name != "n_factors":
        low, high = (float(f"{default * factor:.3g}") for factor in TIMES[name])
    elif name in FROM_TO and (default is None or name == "n_factors"):
        low, high = FROM_TO[name]
    else:
        return None
    whole = not fits(1.5, hint)
    return Span(round(low) or 1, round(high), whole=True) if whole else Span(low, high)


def parse(text: str) -> tuple[str, Span | Choices]:
    """``"reg=0.01:0.3"`` or ``"link=identity,sigmoid"`` -> (name, its range).

    Raises:
        SettingError: for anything else.
    """
    name, equals, value = text.partition("=")
    low, colon, high = value.partition(":")
    if not equals or not value:
        raise SettingError(f"--space {text!r} is no range.", hint="such as reg=0.01:0.3, or link=identity,sigmoid.")
    if not colon:
        return name, Choices(tuple(_value(v) for v in value.split(",")))
    try:
        span = Span(float(low), float(high), low.isdecimal() and high.isdecimal())
    except ValueError:
        raise SettingError(f"--space {text!r}: these are no numbers.", hint="such as reg=0.01:0.3.") from None
    if not 0 < span.low < span.high < float("inf"):
        what = f"--space {text!r} is no range."
        raise SettingError(what, hint="two numbers above 0, the lower first: the scale is logarithmic.")
    return name, span


def _value(text: str) -> Value:
    words: dict[str, Value] = {"true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        return text
