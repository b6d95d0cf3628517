"""A PostgreSQL of the tests' own: a cluster in a temporary folder, on its own port, as another user than root."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


class Server:
    """A cluster; ``crash`` and ``start`` may follow each other."""

    def __init__(self, folder, bin, who):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.bin, self.who, self.folder, self.process = bin, who, folder, None
        self.url = f"postgresql://tests@127.0.0.1:{self.port}/postgres"
        made = [*who, bin / "initdb", "-D", folder / "data", "-U", "tests", "-A", "trust", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True, cwd=folder)

    def start(self):
        command = [self.bin / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": self.folder}
        self.process = subprocess.Popen([*self.who, *command, "-c", "listen_addresses=127.0.0.1"], **quiet)
        ready = [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        for _ in range(600):
            if subprocess.run(ready).returncode == 0:
                return
            time.sleep(0.05)
        raise TimeoutError("PostgreSQL did not start")

    def crash(self):
        """What a loss of power does to it: nothing is written down, the next start recovers from the log."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(60)


def _found():
    """(the folder of its programs, how they are run as another user); skips the test where there is none."""
    found = shutil.which("initdb") or next(iter(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
    if found is None:
        pytest.skip("no PostgreSQL on this machine: initdb is not found")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    if os.geteuid() != 0:
        return Path(found).resolve().parent, []
    if shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no setpriv to be another user")
    return Path(found).resolve().parent, ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


@contextmanager
def running(folder):
    """A server that runs; ended at the end."""
    bin, who = _found()
    if who:
        os.chown(folder, NOBODY, NOBODY)
        for above in (folder, *folder.parents):
            if above.stat().st_uid == 0 and not above.stat().st_mode & 1:
                above.chmod(above.stat().st_mode | 0o011)
    server = Server(folder, bin, who)
    server.start()
    try:
        yield server
    finally:
        server.process.send_signal(signal.SIGINT)
        server.process.wait(60)
