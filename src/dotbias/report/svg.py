"""Small pictures as SVG text: axes, lines, dots, intervals. Colours are classes that the page's style sheet sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 40
Point = tuple[float, float]


class Axis(NamedTuple):
    """From data to pixels along one side.

    Attributes:
        low: of the data.
        high: of the data.
        start: pixel of ``low``.
        end: pixel of ``high``.
        log: whether the scale is logarithmic.
        name: with its unit.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    name: str = ""

    def at(self, x: float) -> float:
        """The pixel of a value."""
        low, high, x = (math.log10(v) for v in (self.low, self.high, x)) if self.log else (self.low, self.high, x)
        return round(self.start + (self.end - self.start) * (x - low) / (high - low), 1)

    def ticks(self) -> list[float]:
        """Round values within; on a logarithmic scale powers of ten, or 1, 2, 5 where these are few."""
        if not self.log:
            step = nice((self.high - self.low) / 7)
            first = math.ceil(self.low / step - 1e-9)
            return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        many = len([p for p in powers if self.low <= 10**p <= self.high]) > 2
        found = [m * 10.0**p for p in powers for m in ((1,) if many else (1, 2, 5))]
        return [x for x in found if self.low <= x <= self.high]


def nice(step: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below."""
    power = 10.0 ** math.floor(math.log10(step)) if step > 0 else 1.0
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def spread(values: Sequence[float], margin: float = 0.06) -> tuple[float, float]:
    """The range of values, a little wider; of one value, something around it."""
    low, high = min(values), max(values)
    room = (high - low) * margin or abs(low) * 0.1 or 1.0
    return low - room, high + room


def wider(values: Sequence[float]) -> tuple[float, float]:
    """The same for a logarithmic scale."""
    return min(values) / 1.4, max(values) * 1.4


def frame(width: int, height: int, x: Axis, y: Axis | None, inside: Sequence[str], about: str) -> str:
    """A picture: grid, ticks, names of the axes, and what is inside."""
    bottom = height - BOTTOM
    parts = [f'<line class="grid" x1="{x.at(t)}" x2="{x.at(t)}" y1="{TOP}" y2="{bottom}"/>' for t in x.ticks()]
    parts += [text(x.at(t), bottom + 15, number(t), "tick middle") for t in x.ticks()]
    parts.append(text((x.start + x.end) / 2, height - 6, x.name, "name middle"))
    if y is not None:
        parts += [f'<line class="grid" x1="{x.start}" x2="{x.end}" y1="{y.at(t)}" y2="{y.at(t)}"/>' for t in y.ticks()]
        parts += [text(x.start - 6, y.at(t) + 4, number(t), "tick end") for t in y.ticks()]
        parts.append(text(6, TOP + 4, y.name, "name"))
    body = "".join([*parts, *inside])
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{escape(about, quote=True)}">'
        f"<title>{escape(about)}</title>{body}</svg>"
    )


def axes(width: int, height: int, x: tuple[float, float], y: tuple[float, float], **more: object) -> tuple[Axis, Axis]:
    """Both axes of a picture of that size; ``names=(of x, of y)``, ``log=True`` for x."""
    names = more.get("names", ("", ""))
    assert isinstance(names, tuple)
    first = Axis(*x, LEFT, width - RIGHT, bool(more.get("log", False)), names[0])
    return first, Axis(*y, height - BOTTOM, TOP + 12, False, names[1])


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Words at a place, escaped."""
    return f'<text x="{round(x, 1)}" y="{round(y, 1)}" class="{kind}">{escape(words)}</text>'


def dot(x: float, y: float, kind: str, about: str = "", r: float = 4.5) -> str:
    """A dot; pointing at it shows what it is."""
    return f'<circle cx="{x}" cy="{y}" r="{r}" class="{kind}"><title>{escape(about)}</title></circle>'


def line(points: Sequence[Point], kind: str, about: str = "") -> str:
    """A line through pixels."""
    where = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline points="{where}" class="line {kind}"><title>{escape(about)}</title></polyline>'


def number(x: float) -> str:
    """A tick's label."""
    return f"{x:.4g}" if abs(x) < 1e5 else f"{x:.0e}"
