"""How mkdocstrings reads our docstrings: Sphinx's roles become plain code, ``item[, rating][, time]`` is no link."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|meth|func|mod|data|attr):`~?([^`]+)`")


def for_markdown(text: str) -> str:
    """:meth:`~dotbias.Ratings.take` -> `take`; a bracket after a bracket would be a link in Markdown."""
    text = ROLE.sub(lambda found: f"`{found[1].rpartition('.')[2]}`", text)
    return text.replace("][", "]\\[")


class Docstrings(griffe.Extension):
    """Applied to every object once it is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite its docstring."""
        if obj.docstring:
            obj.docstring.value = for_markdown(obj.docstring.value)
