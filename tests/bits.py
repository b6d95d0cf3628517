"""The same bits as before: hashes of arrays, per processor and library versions; elsewhere a few numbers, to 1e-5.

``DOTBIAS_RECORD_BITS=1 pytest tests/test_…`` writes what is found as what is expected, on purpose only.
"""

import hashlib
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "bits"
N_NUMBERS = 12  # of each array, for machines that have no hash here


def machine():
    """What the last bit of a float may depend on."""
    import llvmlite.binding

    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "llvmlite", "torch"))
    return f"{platform.machine()} {llvmlite.binding.get_host_cpu_name()}, {libraries}"


def check(name, arrays):
    """Arrays by name, against what ``bits/NAME.json`` holds of them."""
    arrays = {key: np.ascontiguousarray(a) for key, a in arrays.items()}
    path = FOLDER / f"{name}.json"
    known = json.loads(path.read_text()) if path.exists() else {"numbers": {}, "hashes": {}}
    hashes = {key: hashlib.sha256(a.tobytes()).hexdigest() for key, a in arrays.items()}
    if os.environ.get("DOTBIAS_RECORD_BITS"):
        known["numbers"] = {key: _some(a) for key, a in arrays.items()}
        known["hashes"][machine()] = hashes
        FOLDER.mkdir(exist_ok=True)
        path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    assert set(known["numbers"]) == set(arrays)
    if machine() in known["hashes"]:
        assert hashes == known["hashes"][machine()], f"the bits of {name} changed"
    for key, a in arrays.items():
        np.testing.assert_allclose(_some(a), known["numbers"][key], rtol=1e-5, atol=1e-5, err_msg=f"{name}: {key}")


def _some(array):
    """A few of the numbers, evenly spread."""
    flat = array.ravel()
    at = np.unique(np.linspace(0, max(flat.size - 1, 0), min(N_NUMBERS, flat.size)).astype(int))
    return [float(x) for x in flat[at]]
