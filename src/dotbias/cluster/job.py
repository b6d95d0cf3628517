"""What every fit on a cluster is given, and what none of them supports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import SettingError
from ..progress import Tell
from .shards import Shards

WHY = {
    "keep_best": "a cluster has no valid",
    "item_features": "the parts hold no side tables",
    "user_features": "the parts hold no side tables",
    "histories": "a history couples all rows, and its draws are one after another",
    "sessions": "sessions are not dealt out",
    "ordinal": "cutpoints are drawn from all ratings at once",
}


class Job(NamedTuple):
    """A fit to be made.

    Attributes:
        begin: reads the parts; called once the settings are known to be good.
        key: of all that is random.
        tell: told of every step.
        path: of the checkpoint, or None.
        every: how many steps lie between two checkpoints.
    """

    begin: Callable[[], Shards]
    key: int
    tell: Tell
    path: Path | None
    every: int


def refuse(**settings: Any) -> None:
    """Refuse settings that no fit by shards supports.

    Raises:
        SettingError: for the first that is not empty, with the reason.
    """
    for name, value in settings.items():
        if value:
            what = f"{name} is {value!r}, but a fit by shards does not support it: {WHY[name]}."
            raise SettingError(what, hint=f"leave {name} out, or fit on one machine.")
