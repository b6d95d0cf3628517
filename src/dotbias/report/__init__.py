"""A comparison as one HTML page that needs nothing else: no network, no script, light or dark as the reader's screen.

``page(result)`` of ``experiments.compare(…, details=True)``; ``dotbias compare … --report out.html`` writes it.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ..evaluation.reports import title

if TYPE_CHECKING:
    from ..experiments import Compared

__all__ = ["page"]

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1d2328;--soft:#5d6770;--grid:#e3e6e8;--best:#e2f0e6}
@media(prefers-color-scheme:dark){:root{--paper:#15191c;--ink:#e4e8ea;--soft:#9aa5ad;--grid:#2c3338;--best:#20402c}}
body{margin:0 auto;max-width:72rem;padding:1.5rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .4rem}p{margin:.4rem 0}
.note{color:var(--soft);font-size:.88rem;margin:.15rem 0}.wide{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;white-space:nowrap}
th,td{padding:.28rem .6rem;text-align:right;border-bottom:1px solid var(--grid)}
th:first-child{text-align:left;position:sticky;left:0;background:var(--paper)}thead th{color:var(--soft)}
th small{display:block;font-weight:400}.best{background:var(--best)}
.key{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.5em;background:currentColor}
svg{display:block;max-width:100%;height:auto;margin:.4rem 0}svg text{fill:var(--ink);font-size:12px}
svg .tick,svg .name{fill:var(--soft);font-size:11px}.middle{text-anchor:middle}.end{text-anchor:end}
.grid{stroke:var(--grid)}.zero{stroke:var(--soft);stroke-dasharray:4 3}
.line{fill:none;stroke:currentColor;stroke-width:1.8}.bar{stroke-width:3;opacity:.55}.dashed{stroke-dasharray:3 3}
.diagonal{stroke:var(--soft);stroke-width:1}circle{fill:currentColor}
.facets{display:flex;flex-wrap:wrap;gap:0 2.5rem}
.grid3{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:.5rem}
figure{margin:0}figcaption{font-size:.88rem;font-weight:600}
.c0{color:#0b6fa4}.c1{color:#d1580a}.c2{color:#2a8a57}.c3{color:#8a5bb5}.c4{color:#b8860b}
.c5{color:#c2407a}.c6{color:#4c7d8a}.c7{color:#7a6652}.c8{color:#5566cc}.c9{color:#8a9a2b}
@media(prefers-color-scheme:dark){.c0{color:#56b4e9}.c1{color:#f0954f}.c2{color:#5fc48f}.c3{color:#bb96e0}
.c4{color:#e0b84a}.c5{color:#ee84b0}.c6{color:#86bccb}.c7{color:#bca58c}.c8{color:#98a6ff}.c9{color:#bccb5c}}
"""


def page(result: Compared, *, data: str = "", split: str = "", metric: str | None = None) -> str:
    """The page as text; names are escaped, and nothing in it asks for anything from elsewhere.

    Args:
        result: of ``experiments.compare``; with ``details=True`` it also has calibration and held-out curves.
        data: name of the data.
        split: name of the split.
        metric: which one is drawn; by default the first.
    """
    from . import sections

    metric = metric or result.metrics[0]
    head = f"{len(result.rows)} ways to fit {data}".strip()
    best = result.rows[0]
    lead = f"{best.name} is first: {title(metric)} {best.report.values[metric]:.4f}."
    parts = (
        ("Every figure", sections.table(result)),
        ("How sure", sections.intervals(result, metric)),
        ("Error against time", sections.against_time(result, metric)),
        ("Do the guesses mean what they say?", sections.calibration(result)),
        ("By what is known", sections.breakdown(result, metric)),
        ("How they learned", sections.learning(result)),
    )
    body = "".join(f"<section><h2>{name}</h2>{html}</section>" for name, html in parts if html)
    about = f"<p>{escape(lead)} <span class=note>{escape(f'split {split}' if split else '')}</span></p>"
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    safe = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    top = f"<!doctype html><html lang=en><head>{meta}{safe}<title>{escape(head)}</title><style>{STYLE}</style></head>"
    return f"{top}<body><h1>{escape(head)}</h1>{about}{body}</body></html>\n"
