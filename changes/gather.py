"""Gather the fragments of this folder into CHANGELOG.md: ``python changes/gather.py 0.2.0``."""

import datetime
import re
import sys
from pathlib import Path

KINDS = ("added", "changed", "fixed", "removed")
MARK = "<!-- released versions follow, newest first -->\n"


def main(version: str) -> None:
    """Write the fragments under a heading for ``version``, and remove them."""
    here = Path(__file__).parent
    log, lines = here.parent / "CHANGELOG.md", [f"\n## {version} ({datetime.date.today()})\n"]
    for kind in KINDS:
        fragments = sorted(here.glob(f"*.{kind}.md"))
        lines += (
            [f"\n### {kind.title()}\n\n", *(f"- {f.read_text().strip()}\n" for f in fragments)] if fragments else []
        )
        for fragment in fragments:
            fragment.unlink()
    before, mark, after = log.read_text().partition(MARK)
    log.write_text(before + mark + "".join(lines) + after)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.fullmatch(r"\d+\.\d+\.\d+", sys.argv[1]):
        sys.exit("usage: python changes/gather.py VERSION, such as 0.2.0")
    main(sys.argv[1])
