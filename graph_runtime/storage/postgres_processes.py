"""Finds and stops database processes that outlived the program which started them."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

PATIENCE_SECONDS = 20.0


def is_ready(cluster: Path, server_pid: int) -> bool:
    """Whether the server with this id has written that it accepts connections (the eighth line of its pid file)."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return len(lines) >= 8 and lines[0] == str(server_pid) and lines[7].strip() == "ready"


def stop_leftovers(cluster: Path) -> None:
    """Stop whatever still works on the cluster, then remove what only a dead server leaves.

    The caller holds the claim on the data folder. The pid file is never trusted alone: after a reboot its number
    belongs to somebody else, and removing it while a backend lives would corrupt the database.
    """
    pid_file = cluster / "postmaster.pid"
    running = _working_in(cluster)
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if not running:
            break
        server = _written_pid(pid_file)
        # Without their server, backends end by themselves at the next wait; SIGINT would only cancel a query.
        for process in [server] if server in running else running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, how)
        running = _wait_until_gone(cluster)
    for leftover in (pid_file, *cluster.parent.glob("socket/.s.PGSQL.*")):
        leftover.unlink(missing_ok=True)


def _wait_until_gone(cluster: Path) -> set[int]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (running := _working_in(cluster)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return running


def _written_pid(pid_file: Path) -> int:
    try:
        return abs(int(pid_file.read_text().split("\n", 1)[0]))
    except (OSError, ValueError):
        return 0


def _working_in(cluster: Path) -> set[int]:
    """The processes whose working folder is the cluster: the server and every backend go there first."""
    try:
        place = cluster.stat()
    except FileNotFoundError:
        return set()
    if not Path("/proc/self/cwd").exists():
        return _named_in_pid_file(cluster)
    found = set()
    for process in filter(str.isdigit, (entry.name for entry in Path("/proc").iterdir())):
        with contextlib.suppress(OSError):
            folder = Path(f"/proc/{process}/cwd").stat()
            if (folder.st_dev, folder.st_ino) == (place.st_dev, place.st_ino):
                found.add(int(process))
    return found


def _named_in_pid_file(cluster: Path) -> set[int]:
    """Where there is no /proc (macOS): the process of the pid file, if it is a server on this very cluster."""
    process = _written_pid(cluster / "postmaster.pid")
    if not process:
        return set()
    command = subprocess.run(
        ["/bin/ps", "-p", str(process), "-o", "command="], capture_output=True, text=True, check=False
    ).stdout
    return {process} if str(cluster) in command else set()
