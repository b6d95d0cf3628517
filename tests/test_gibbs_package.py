"""The package: `solvers.gibbs` is the function, its modules are there, and none import each other."""

import subprocess
import sys

from test_layering import PACKAGE, imported_files

FOLDER = PACKAGE / "solvers" / "gibbs"
CODE = """
{first}
import dotbias, sys
from dotbias.solvers import gibbs
from dotbias.solvers.gibbs import gibbs as same, noise, posterior_nbytes
assert gibbs is same is dotbias.gibbs is dotbias.solvers.gibbs and gibbs.__name__ == "gibbs"
assert noise is sys.modules["dotbias.solvers.gibbs.noise"]
"""


def test_the_name_is_the_function_and_the_modules_are_there():
    for first in ("import dotbias.solvers.gibbs.noise", "from dotbias.solvers.gibbs import gibbs", ""):
        subprocess.run([sys.executable, "-c", CODE.format(first=first)], check=True)


def test_no_two_modules_import_each_other():
    """Taken away again and again: modules that import none that is left. A circle would stay."""
    left = {path: set(imported_files(path)) for path in FOLDER.glob("*.py")}
    assert len(left) > 10
    while left:
        done = {path for path, names in left.items() if not names & set(left)}
        assert done, f"a circle among {sorted(path.stem for path in left)}"
        left = {path: names for path, names in left.items() if path not in done}
