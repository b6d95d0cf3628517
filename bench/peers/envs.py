"""The peers' environments: what each needs, and making them under ``.bench/``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / ".bench"
PIP = ["-m", "pip", "install", "-q", "--disable-pip-version-check"]
ENVIRONMENTS: dict[str, list[list[str]]] = {  # name -> pip's arguments, one call after another
    "main": [
        ["torch==2.13.0", "numpy==2.4.6", "setuptools<81", "pandas<3", "scipy", "cython", "wheel"],
        [
            *(
                "torch==2.13.0",
                "numpy==2.4.6",
                "pandas<3",
                "setuptools<81",
                "scikit-surprise==1.1.5",
                "lenskit==2025.8.1",
            ),
            *("cornac==3.0.1", "myfm==0.4.0", "libmf==0.9.2"),
        ],
    ],
    "clicks": [
        ["torch==2.13.0", "numpy==2.4.6", "setuptools<81", "pandas<3", "scipy"],
        [
            *("torch==2.13.0", "numpy==2.4.6", "pandas<3", "setuptools<81"),
            *("implicit==0.7.3", "lenskit==2025.8.1", "cornac==3.0.1"),
        ],
    ],
    "fastai": [["torch==2.13.0", "fastai==2.8.12"]],
    "spark": [["pyspark==4.0.1", "numpy==2.4.6"]],  # needs a Java of 17 or later
}


def python_of(environment: str) -> str:
    """The interpreter of an environment ("ours" is this one); made first where it is not there, whole or not at all."""
    if environment == "ours":
        return sys.executable
    folder = FOLDER / environment
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        sys.stderr.write(f"bench: making the peers' environment {environment!r} (minutes, once) …\n")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        for packages in ENVIRONMENTS[environment]:
            subprocess.run([str(python), *PIP, *packages], check=True)
        done.touch()
    return str(python)
