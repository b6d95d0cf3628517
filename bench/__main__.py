"""``python -m bench NAME``: a module of this folder, ``NAME`` one of those that ``python -m bench`` lists."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> None:
    here = Path(__file__).parent
    names = sorted({p.stem for p in here.glob("[a-z]*.py")} | {p.parent.name for p in here.glob("*/__init__.py")})
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        raise SystemExit(f"usage: python -m bench {{{', '.join(names)}}} [its options]")
    name = sys.argv.pop(1)
    importlib.import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
