"""Fill README's blocks from a real run of the demo and from RESULTS.md: ``python -m bench.readme``."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

README, RESULTS = Path("README.md"), Path("RESULTS.md")
SERVED = r"popular \||fit_clicks|on likes"  # rows of the ranking
# Sections of RESULTS.md, in README's order; of some, the rows that hold a pattern.
HEADINGS = (
    "As served: lesson's split",
    "As served: ML-100K u1",
    ("Ranking: ML-100K, random", SERVED),
    "Ours beside the peers: the lesson's split",
    "Ours beside the peers: ML-1M",
    "Speed beside the peers",
    "Calibration",
    "SGD on a planted world",
    "The 2018 course's own cells",
)


def main() -> None:
    text = README.read_text()
    text = fill(text, "demo", demo())
    text = fill(text, "results", "\n".join(section(RESULTS.read_text(), heading) for heading in HEADINGS))
    README.write_text(text)


def demo() -> str:
    """The demo's output, indented."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dotbias", "demo"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return "\n".join(f"    {line}".rstrip() for line in done.stdout.strip().split("\n"))


def section(results: str, heading: str | tuple[str, str]) -> str:
    """The heading and the table, or some of its rows, of the first section of RESULTS.md whose heading begins so."""
    heading, rows = heading if isinstance(heading, tuple) else (heading, "")
    found = re.search(rf"^### ({re.escape(heading)}.*)\n\n(?:[^|\n].*\n\n)?((?:\|.*\n)+)", results, re.M)
    if found is None:
        raise SystemExit(f"RESULTS.md has no section '### {heading}': run the bench that writes it.")
    head, dashes, *table = found.group(2).splitlines()
    return "\n".join([f"**{found.group(1)}**\n", head, dashes, *(r for r in table if re.search(rows, r)), ""])


def fill(text: str, mark: str, inside: str) -> str:
    """Put ``inside`` between <!-- mark --> and <!-- /mark -->."""
    before, rest = text.split(f"<!-- {mark} -->")
    after = rest.split(f"<!-- /{mark} -->")[1]
    return f"{before}<!-- {mark} -->\n\n{inside}\n\n<!-- /{mark} -->{after}"


if __name__ == "__main__":
    main()
