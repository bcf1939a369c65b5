"""The supervisor: dead children start again after growing pauses, and a refusal to start ends the attempts."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from graph_runtime.cli import supervisor
from graph_runtime.cli.supervisor import Child, ChildRefused, Signals, Supervisor

REPOSITORY = Path(__file__).resolve().parents[3]
SLEEP = "import time; time.sleep(600)"

# Signal handlers belong to a whole process, so that what installs them is tried in one of its own.
PARENT = """
import sys
from pathlib import Path
from graph_runtime.cli.supervisor import Child, Signals, StopRequested, Supervisor
import os
child = Child("web", [sys.executable, "-c", sys.argv[1]], dict(os.environ), Path(sys.argv[2]))
with Signals() as signals:
    supervisor = Supervisor([child], signals, lambda line: print(line, flush=True))
    supervisor.start()
    print(child.process.pid, flush=True)
    try:
        while True:
            signals.pause_unless_stopped(supervisor.check())
    except StopRequested:
        supervisor.stop()
print("orderly", child.exit_code(), flush=True)
"""

FOLLOWER = """
from graph_runtime.cli.lifeline import follow_supervisor
import time
follow_supervisor()
time.sleep(600)
"""


def a_child(tmp_path: Path, script: str) -> Child:
    return Child("web", [sys.executable, "-c", script], dict(os.environ), tmp_path / "web.log")


def checked_until_dead(kept: Supervisor, deaths: int) -> list[float]:
    """Check as `up` does, skipping the pauses, and return how long each would have been."""
    pauses: list[float] = []
    one = kept.children[0]
    while one.deaths < deaths:
        assert one.process
        one.process.wait(20)
        before = one.deaths
        kept.check()
        if one.deaths > before and one.start_again_at is not None:
            pauses.append(round(one.start_again_at - time.monotonic(), 1))
            if one.deaths < deaths:
                one.start_again_at = 0.0
                kept.check()
    one.cut_lifeline()
    return pauses


def test_pauses_double_and_stop_growing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE_SECONDS", 2.0)
    kept = Supervisor([a_child(tmp_path, "raise SystemExit(3)")], Signals(), lambda _: None)
    kept.start()
    assert checked_until_dead(kept, 4) == [0.5, 1.0, 2.0, 2.0]


def test_a_death_is_said_with_its_last_words(tmp_path: Path) -> None:
    said: list[str] = []
    kept = Supervisor([a_child(tmp_path, "print('the reason'); raise SystemExit(3)")], Signals(), said.append)
    kept.start()
    checked_until_dead(kept, 1)
    assert said[0].startswith("web ended with code 3; starting it again in 0.5 s.")
    assert "the reason" in said[1]


def test_a_child_that_refuses_its_settings_is_not_started_again(tmp_path: Path) -> None:
    kept = Supervisor([a_child(tmp_path, "print('set X'); raise SystemExit(78)")], Signals(), lambda _: None)
    kept.start()
    assert kept.children[0].process
    kept.children[0].process.wait(20)
    with pytest.raises(ChildRefused, match="set X"):
        kept.check()


def started_parent(tmp_path: Path, script: str) -> tuple["subprocess.Popen[str]", psutil.Process]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, script, str(tmp_path / "web.log")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert parent.stdout
    return parent, psutil.Process(int(parent.stdout.readline()))


def test_a_stop_ends_children_and_then_itself(tmp_path: Path) -> None:
    parent, child = started_parent(tmp_path, SLEEP)
    parent.terminate()
    assert parent.communicate(timeout=20)[0] == "orderly -15\n"
    assert parent.returncode == 0
    assert not child.is_running()


def test_a_child_follows_a_killed_supervisor(tmp_path: Path) -> None:
    parent, child = started_parent(tmp_path, FOLLOWER)
    parent.kill()
    parent.communicate(timeout=20)
    _, alive = psutil.wait_procs([child], timeout=20)
    assert alive == []


def test_a_second_request_does_not_wait_for_a_stubborn_child(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(600)"
    )
    parent, child = started_parent(tmp_path, stubborn)
    while "deaf" not in (tmp_path / "web.log").read_text():
        assert child.is_running()
    began = time.monotonic()
    parent.terminate()
    while parent.poll() is None:
        parent.send_signal(2)
        time.sleep(0.1)
        assert time.monotonic() - began < 10
    assert parent.communicate()[0] == "orderly -9\n"


def test_a_long_log_is_set_aside_at_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "MAX_LOG_BYTES", 10)
    (tmp_path / "web.log").write_text("older than this start\n")
    one = a_child(tmp_path, "print('new')")
    one.start()
    assert one.process
    one.process.wait(20)
    one.cut_lifeline()
    assert (tmp_path / "web.previous.log").read_text() == "older than this start\n"
    assert (tmp_path / "web.log").read_text() == "new\n"
