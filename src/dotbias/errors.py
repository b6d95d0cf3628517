"""Every error that dotbias raises on purpose, and the wording they share.

One base class; each kind also is the built-in exception a Python programmer would catch. A message says what is
wrong, with the value and the place, then ``Hint:`` with the likely fix. This module knows nothing of ratings.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from types import ModuleType

_ARG = re.compile("\x02(\\w+)=([^\x03]*)\x03")  # how arg() marks an argument within a hint


def arg(name: str, value: object = None) -> str:
    """An argument as a hint names it: ``arg("rating", False)`` shows as ``rating=False``, or in the caller's words.

    It is marked, so that :meth:`DotbiasError.hint_as` finds it: the command line shows ``--no-rating`` instead.
    """
    return f"\x02{name}={'' if value is None else repr(value)}\x03"


class DotbiasError(Exception):
    """Something is wrong, said in two parts: what, and a hint.

    Args:
        what: what is wrong, with the value and where it stands.
        hint: the likely fix, if one is known; arguments in it are written with :func:`arg`.
    """

    def __init__(self, what: str, *, hint: str | None = None):
        super().__init__(what)
        self.what, self._hint = what, hint

    @property
    def hint(self) -> str | None:
        """The likely fix, in Python's words."""
        return self.hint_as(lambda name, value: f"{name}={value}")

    def hint_as(self, write: Callable[[str, str], str]) -> str | None:
        """The likely fix with its arguments in the caller's words.

        Args:
            write: (the argument's name, its value as Python would write it, or "") -> text.
        """
        return None if self._hint is None else _ARG.sub(lambda m: write(m[1], m[2]), self._hint)

    def __str__(self) -> str:
        return f"{self.what}\nHint: {self.hint}" if self.hint else self.what


class DataError(DotbiasError, ValueError):
    """The user's data cannot be used as it is."""


class SettingError(DotbiasError, ValueError):
    """An argument has a value that makes no sense."""


class UnknownIdError(DotbiasError, KeyError):
    """An id that the ratings never named."""


class FileError(DotbiasError, OSError):
    """A file cannot be read or written: absent, not allowed, no room."""


class ModelFileError(DotbiasError, OSError):
    """A model on disk is missing, cut, altered, hostile or too new."""


class DownloadError(DotbiasError, OSError):
    """A data set could not be fetched, or is not what it should be."""


class MissingExtraError(DotbiasError, ImportError):
    """An optional library is not installed."""


class DivergedError(DotbiasError, ArithmeticError):
    """A fit left the finite numbers."""


class ClusterError(DotbiasError, RuntimeError):
    """A cluster cannot do its part: no room, another version, workers that die again and again."""


class StoppedWarning(UserWarning):
    """A fit was stopped by Ctrl-C before it was done; what it returns is whole, but fitted less than asked for."""


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """A hint from near misses: ``did_you_mean("raitng", ["rating"])`` -> ``did you mean 'rating'?``."""
    names = [str(k) for k in known]
    folded = {n.casefold(): n for n in reversed(names)}
    close = get_close_matches(str(name).casefold(), list(folded), n=1, cutoff=0.6)
    if close:
        return f"did you mean {folded[close[0]]!r}?"
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"known here: {shown}." if names else "there is nothing to choose from."


def require(library: str, *, extra: str) -> ModuleType:
    """Import an optional library, or say which extra installs it.

    Args:
        library: the module's import name.
        extra: the name of dotbias's extra that brings it.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as e:
        if e.name != library.split(".")[0]:
            raise
        raise MissingExtraError(f"this needs {library}, which is not installed.", hint=install_command(extra)) from e


def install_command(extra: str) -> str:
    """What a person types to add an extra to the dotbias that is running: by its index, or from its checkout."""
    if (Path(__file__).parents[2] / "constraints.txt").is_file():  # src/dotbias/errors.py of a checkout
        return f"in the folder of the checkout: pip install -c constraints.txt -e '.[{extra}]'"
    return f"pip install 'dotbias[{extra}]'"


def check_positive(**settings: float) -> None:
    """Refuse settings that must be finite and above zero: ``check_positive(lr=lr, n_factors=n_factors)``."""
    for name, value in settings.items():
        if not (isinstance(value, Real) and 0 < value < float("inf")):
            raise SettingError(f"{name} is {value!r}; it must be a finite number above 0.", hint=f"try {name}=1.")


def check_not_negative(**settings: float) -> None:
    """Refuse settings that must be finite and not below zero: ``check_not_negative(wd=wd)``."""
    for name, value in settings.items():
        if not (isinstance(value, Real) and 0 <= value < float("inf")):
            raise SettingError(f"{name} is {value!r}; it must be a finite number, 0 or more.", hint=f"try {name}=0.")
