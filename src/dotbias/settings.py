"""The arguments of fitters, checked once, by their annotations.

``@checked`` stands before every fitter. It refuses an argument whose value does not fit its annotation, a ``train``
that is not Ratings or not of the kind (ratings, clicks) that the list of fitters says, and a ``valid`` whose rows mean
something else. This module knows types and Ratings, no model.
"""

from __future__ import annotations

import collections.abc as abc
import functools
import importlib
import inspect
import math
import numbers
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, ParamSpec, TypeVar, Union, cast

import numpy as np

from .errors import DataError, SettingError, did_you_mean
from .ratings import Ratings, check_is_ratings, check_same_tables

P = ParamSpec("P")
R = TypeVar("R")
SEQUENCES = (tuple, list, abc.Sequence)
NARROWEST, WIDEST = 1e-6, 1e10  # widths of the ratings' scale that every fitter was seen to fit alike
FUNCTION: Any = typing.get_origin(abc.Callable[[], None])


class Within(NamedTuple):
    """A range of numbers, as a mark in an annotation: ``Annotated[float, Within(0, "a number above 0", open=True)]``.

    Attributes:
        low: the lowest number.
        about: what a value must be, for people.
        open: whether ``low`` itself is outside.
        high: the highest number, inside.
    """

    low: float
    about: str
    open: bool = False
    high: float = math.inf


Count = Annotated[int, Within(1, "a whole number, 1 or more")]
Positive = Annotated[float, Within(0, "a finite number above 0", open=True)]
NotNegative = Annotated[float, Within(0, "a finite number, 0 or more")]
Share = Annotated[float, Within(0, "a number from 0 to 1", high=1)]


def checked(fit: Callable[P, R]) -> Callable[P, R]:
    """A fitter whose arguments are checked at every call, before anything is computed.

    Raises (the fitter it returns):
        SettingError: for an argument that it does not have, or whose value does not fit the annotation.
        DataError: if ``train`` is not Ratings or of the other kind, its scale is narrower than 1e-6 or wider than 1e10,
            or ``valid`` numbers users or items otherwise.
    """
    signature = inspect.signature(fit)

    @functools.wraps(fit)
    def fitter(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as e:
            raise _wrong_call(fit, signature, kwargs, e) from None
        check(fit, given)
        _check_data(fit, given, next(iter(signature.parameters)))
        return fit(*args, **kwargs)

    return fitter


def check(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Refuse values that do not fit the annotations of the function's arguments.

    Raises:
        SettingError: for the first that does not, naming it, its value and the default.
    """
    parameters = _signature(function).parameters
    for name, value in given.items():
        hint = annotation(function, name)
        if name in parameters and not fits(value, hint):
            default = parameters[name].default
            known = f"the default is {name}={_shown(default)}."
            if default is inspect.Parameter.empty:
                known = f"give {describe(hint)}."
            raise SettingError(f"{name} is {value!r}; it must be {describe(hint)}.", hint=known)


@functools.lru_cache(512)  # requests of a server check the same few, again and again
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


@functools.lru_cache(512)
def annotation(function: Callable[..., Any], name: str) -> Any:
    """The annotation of one argument, resolved; Any where it has none, or names what is imported for typing only."""
    function = inspect.unwrap(function)
    parameter = inspect.signature(function).parameters.get(name)
    hint = Any if parameter is None or parameter.annotation is inspect.Parameter.empty else parameter.annotation
    if not isinstance(hint, str):
        return hint
    try:
        return eval(hint, dict(vars(typing)), function.__globals__)
    except (NameError, TypeError):
        return Any


def fits(value: Any, hint: Any) -> bool:
    """Whether a value fits an annotation: whole numbers are no bools, text is no sequence, numbers are not NaN."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, (str, TypeVar, typing.ForwardRef)):
        return True
    if origin is Annotated:
        return fits(value, arguments[0]) and all(_within(value, mark) for mark in arguments[1:])
    if origin in (Union, types.UnionType):
        return any(fits(value, option) for option in arguments)
    if origin is Literal:
        return any(value is option or (type(value) is type(option) and value == option) for option in arguments)
    if origin is tuple and Ellipsis not in arguments:
        return (
            isinstance(value, (tuple, list))
            and len(cast(Sequence[Any], value)) == len(arguments)
            and all(fits(v, h) for v, h in zip(cast(Sequence[Any], value), arguments, strict=True))
        )
    if origin in SEQUENCES:
        many = isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim > 0)
        return many and all(fits(v, arguments[0]) for v in cast(Sequence[Any], value))
    if origin is FUNCTION:
        return callable(value)
    return _is_a(value, origin or hint)


def describe(hint: Any) -> str:
    """What a value must be, for people."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return next(mark.about for mark in arguments[1:] if isinstance(mark, Within))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(a) for a in arguments))
    if origin is Literal:
        return ", ".join(map(repr, arguments))
    if origin is tuple and Ellipsis not in arguments:
        return f"({', '.join(describe(a) for a in arguments)})"
    if origin in SEQUENCES:
        return f"a sequence, each {describe(arguments[0])}"
    if origin is FUNCTION:
        return "a function"
    if origin in (abc.Mapping, dict):
        return "a dict"
    words = {int: "a whole number", float: "a number", bool: "True or False", str: "text", types.NoneType: "None"}
    return words.get(hint, getattr(hint, "__name__", str(hint)))


def _is_a(value: Any, kind: Any) -> bool:
    if kind in (None, types.NoneType):
        return value is None
    if kind is bool:
        return isinstance(value, (bool, np.bool_))
    if kind is int:
        return isinstance(value, numbers.Integral) and not isinstance(cast(Any, value), bool)
    if kind is float:
        return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)) and _is_number(value)
    return not isinstance(kind, type) or getattr(kind, "_is_protocol", False) or isinstance(value, kind)


def _is_number(value: numbers.Real) -> bool:
    """Whether a float can hold it: neither NaN, nor a whole number past its range."""
    try:
        return not math.isnan(value)
    except OverflowError:
        return False


def _within(value: Any, mark: Any) -> bool:
    if not isinstance(mark, Within):
        return True
    finite = isinstance(cast(object, value), int) or math.isfinite(value)  # a whole number may be past any float
    return finite and (value > mark.low if mark.open else value >= mark.low) and value <= mark.high


def _wrong_call(fit: Any, signature: inspect.Signature, given: Mapping[str, Any], e: TypeError) -> Exception:
    known = [n for n, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY]
    unknown = [name for name in given if name not in signature.parameters]
    if not unknown:
        return e
    return SettingError(f"{fit.__name__} has no setting {unknown[0]!r}.", hint=did_you_mean(unknown[0], known))


def _check_data(fit: Callable[..., Any], given: Mapping[str, Any], first: str) -> None:
    train, valid = given.get(first), given.get("valid")
    check_is_ratings(train, first)
    assert isinstance(train, Ratings)
    check_feedback = importlib.import_module("dotbias.fitters").check_feedback  # the list, found when it is asked
    check_feedback(fit, train, first)
    _check_width(train, first)
    if valid is not None:
        check_is_ratings(valid, "valid")
        check_same_tables(valid, train.tables, "valid", first)
        check_feedback(fit, valid, "valid")


def _check_width(train: Ratings, name: str) -> None:
    """Refuse ratings so close together, or so far apart, that float32 no longer holds their squares well.

    NaN and infinities are the fitters' to refuse.
    """
    if train.values is None or not len(train):
        return
    low, high = float(train.values.min()), float(train.values.max())
    if 0 < high - low < NARROWEST or WIDEST < high - low < math.inf:
        what = f"the ratings of {name} go from {low:g} to {high:g}, a width of {high - low:g}."
        hint = f"multiply them all by one number: a width from {NARROWEST:g} to {WIDEST:g} is supported."
        raise DataError(what, hint=hint)


def _shown(value: Any) -> str:
    return value.__name__ if callable(value) and hasattr(value, "__name__") else repr(value)
