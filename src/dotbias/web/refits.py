"""A model that changes while it is served: the folder is watched, and a refit runs in a process of its own.

Whoever saves a model into the folder (``dotbias refit``, ``fit -o``) replaces the one that is served: it is loaded
beside the old one, which answers until then and finishes what it has begun. No request waits or is dropped.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Event, Thread

import polars as pl

from ..errors import DotbiasError
from ..readers import guarded
from ..recommender import Recommender
from ..storage.manifest import MANIFEST
from .service import Service
from .store import Store
from .warm import warm

LOOK = 2.0  # seconds between looks at the folder
NICE = 10  # the refit's priority: on Unix, requests go first
REFUSED = 7  # the exit code of a refit that would make the model worse
log = logging.getLogger("dotbias.web")


def watch(service: Service, folder: str | Path, *, look: float = LOOK) -> Event:
    """Serve what is saved into the folder from now on; setting the event ends it."""
    done = Event()
    seen = _stamp(Path(folder))

    def loop() -> None:
        last = seen
        while not done.wait(look):
            if (now := _stamp(Path(folder))) != last:
                last = now
                reload(service, folder)

    Thread(target=loop, name="dotbias watch", daemon=True).start()
    return done


def reload(service: Service, folder: str | Path) -> bool:
    """Load the folder's model and serve it; what cannot be read is logged, and the old one stays."""
    try:
        following = service.following(Recommender.load(folder))
        warm(following)
        service.served = following
    except (DotbiasError, OSError) as e:
        log.error("the model in %s is not served: %s", folder, e)
        return False
    log.warning("model %d is served from %s", service.served.number, folder)
    return True


def refit_every(store: Store, folder: str | Path, seconds: float) -> Event:
    """Refit on what came in, again and again; only where something did. Setting the event ends it."""
    done = Event()

    def loop() -> None:
        fitted = store.count()
        while not done.wait(seconds):
            if (now := store.count()) != fitted and refit(store, folder):
                fitted = now

    Thread(target=loop, name="dotbias refit", daemon=True).start()
    return done


def refit(store: Store, folder: str | Path) -> bool:
    """Run ``dotbias refit`` on the stored ratings, in a process of its own; whether it ended well.

    It compares the old and the new model, and replaces the folder's unless that makes it worse.
    """
    with tempfile.TemporaryDirectory(prefix="dotbias-") as place:
        path = Path(place) / "ratings.csv"
        names = ("user", "item", "rating", "time")
        table = pl.DataFrame(list(store.ratings()), schema=names, orient="row", infer_schema_length=None)
        guarded(table).write_csv(path)
        command = [sys.executable, "-m", "dotbias", "refit", str(folder), str(path), "--json"]
        done = _run_nicely(command)
    if done.returncode not in (0, REFUSED):
        log.error("the refit ended with %d: %s", done.returncode, done.stderr.strip()[-500:])
    return done.returncode in (0, REFUSED)


def _run_nicely(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run it with less right to the processor than requests have."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        if sys.platform != "win32":
            os.setpriority(os.PRIO_PROCESS, child.pid, NICE)
        out, err = child.communicate()
    return subprocess.CompletedProcess(command, child.returncode, out, err)


def _stamp(folder: Path) -> tuple[int, int] | None:
    """What changes when a model is saved: its manifest is another file."""
    try:
        found = (folder / MANIFEST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
