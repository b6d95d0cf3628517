"""Whole files or none: what is written is on the disk before it has its name."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Put a whole file in place in one step; a reader, or a crash, sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
