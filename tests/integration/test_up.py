"""`up` on a real PostgreSQL with real processes: start, second start, crashes, Ctrl-C and every refusal."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.ports import free_port

REPOSITORY = Path(__file__).resolve().parents[2]

# The process layer is real; what it starts is the smallest program that keeps the same promises.
WEB = """
import http.server, os, signal, sys
def serve(settings):
    import psycopg
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/die":
                os._exit(3)
            with psycopg.connect(settings.database_url.get_secret_value()) as connection:
                role = connection.execute("select current_user").fetchone()[0]
            self.send_response(200); self.end_headers(); self.wfile.write(f"{role} {os.getpid()}".encode())
        def log_message(self, *_): pass
    server = http.server.ThreadingHTTPServer((settings.host, settings.port), Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()
"""
WORKER = """
import signal, sys
def run(settings):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        signal.pause()
"""
SLOW_BUILD = "import subprocess; subprocess.run(['sleep', '600'])"
MIGRATE = """
def upgrade(url):
    import psycopg
    with psycopg.connect(url) as connection:
        connection.execute("create table if not exists migrated (at timestamptz default now())")
        connection.execute("insert into migrated default values")
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("program")
    for part in ("graph_runtime/cli", "graph_runtime/storage"):
        shutil.copytree(REPOSITORY / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("__init__.py", "__main__.py", "places.py", "settings.py"):
        shutil.copy(REPOSITORY / "graph_runtime" / part, tree / "graph_runtime" / part)
    for path, text in (
        ("graph_runtime/api/server.py", WEB),
        ("graph_runtime/worker/main.py", WORKER),
        ("voice/main.py", WORKER),
        ("graph_runtime/storage/migrate.py", MIGRATE),
        ("builder_ui/build.py", "print('screens are there')"),
    ):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    return tree


@pytest.fixture
def port() -> int:
    return free_port()


class Up:
    """One running `up` and what it printed."""

    def __init__(self, program: Path, data: Path, port: int) -> None:
        self.port = port
        self.data = data
        self._program = program
        self.said: list[str] = []

    def command(self) -> list[str]:
        return [sys.executable, "-P", "-m", "graph_runtime", "up", "--data", str(self.data), "--port", str(self.port)]

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PATCHCORD_", "DATABASE"))}
        return {**kept, "PYTHONPATH": str(self._program)}

    def start(self) -> "Up":
        self.close()
        self.process = subprocess.Popen(
            self.command(),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.read_until("Press Ctrl-C")
        return self

    def close(self) -> None:
        """End what runs and let go of its output."""
        if hasattr(self, "process"):
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()
            assert self.process.stdout
            self.process.stdout.close()

    def read_until(self, text: str) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line)
            if text in line:
                return
        raise AssertionError(f"ended without saying {text!r}:\n{''.join(self.said)}")

    def refused(self) -> str:
        done = subprocess.run(
            self.command(), env=self.environment(), capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode not in (0, None)
        assert "Traceback" not in done.stdout + done.stderr
        return done.stderr

    def get(self, path: str = "/") -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def part(self, name: str) -> psutil.Process | None:
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.cmdline()[-2:] == ["graph_runtime", name]:
                    return process
        return None

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        assert self.process.stdout
        self.said.extend(self.process.stdout)
        return self.process.wait(30)


@pytest.fixture
def up(program: Path, tmp_path: Path, port: int) -> Iterator[Up]:
    started = Up(program, tmp_path / "data", port)
    yield started
    started.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_everything_and_stops_everything(up: Up, how: signal.Signals) -> None:
    up.start()
    family = up.family()
    assert up.get().startswith("patchcord_app ")
    assert f"http://127.0.0.1:{up.port}" in "".join(up.said)
    assert up.stop(how) == 0
    assert "Traceback" not in "".join(up.said)
    assert [process for process in family if process.is_running()] == []


def test_a_second_start_migrates_nothing_and_takes_less_than_three_seconds(up: Up) -> None:
    up.start()
    up.stop()
    up.said.clear()
    began = time.monotonic()
    up.start()
    assert time.monotonic() - began < 3
    assert "tables" not in "".join(up.said)


def test_a_web_process_that_dies_is_started_again(up: Up) -> None:
    up.start()
    first = up.get()
    with pytest.raises(OSError, match=r"Remote end closed|reset"):
        up.get("/die")
    up.read_until("web ended with code 3; starting it again")
    assert wait_for_answer(up) != first


def test_a_voice_process_that_dies_is_started_again_and_nothing_else_notices(up: Up) -> None:
    up.start()
    first = up.get()
    voice = up.part("voice")
    assert voice is not None
    voice.kill()
    up.read_until("voice was killed by signal 9; starting it again")
    deadline = time.monotonic() + 20
    while (again := up.part("voice")) is None or again.pid == voice.pid:
        assert time.monotonic() < deadline
    assert up.get() == first


def test_killing_it_leaves_nothing_behind_and_the_data_usable(up: Up) -> None:
    up.start()
    family = up.family()
    up.process.kill()
    up.process.wait()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    up.start()
    assert up.get().startswith("patchcord_app ")


def test_a_killed_database_is_started_again(up: Up) -> None:
    up.start()
    server = next(process for process in up.family() if process.name() == "postgres")
    server.kill()
    up.read_until("The database ended unexpectedly")
    assert wait_for_answer(up).startswith("patchcord_app ")


def test_a_second_one_on_the_same_data_is_told_about_the_first(up: Up, program: Path) -> None:
    up.start()
    said = Up(program, up.data, up.port).refused()
    assert f"http://127.0.0.1:{up.port}" in said
    assert str(up.process.pid) in said
    assert "--data DIR" in said


def test_a_busy_port_is_named_with_another_to_try(up: Up) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", up.port))
        other.listen()
        said = up.refused()
    assert f"Port {up.port}" in said
    assert f"--port {up.port + 1}" in said


def test_an_address_of_another_machine_is_refused(up: Up) -> None:
    done = subprocess.run(
        [*up.command(), "--host", "192.0.2.1"], env=up.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "cannot listen on 192.0.2.1" in done.stderr


def test_a_folder_of_an_old_postgresql_is_named(up: Up) -> None:
    up.start()
    up.stop()
    (up.data / "postgres" / "cluster" / "PG_VERSION").write_text("15\n")
    said = up.refused()
    assert "written by PostgreSQL 15" in said
    assert "PostgreSQL 18" in said


def test_a_file_in_place_of_the_folder_is_refused(up: Up) -> None:
    up.data.write_text("not a folder")
    assert "cannot be used" in up.refused()


def test_a_stop_while_the_screens_are_built_is_an_orderly_one(up: Up, program: Path, tmp_path: Path) -> None:
    tree = tmp_path / "program"
    shutil.copytree(program, tree)
    (tree / "builder_ui" / "build.py").write_text(SLOW_BUILD)
    slow = Up(tree, up.data, up.port)
    process = subprocess.Popen(
        slow.command(), env=slow.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with process:
        assert process.stdout
        assert any("tables" in line for line in process.stdout)
        builders = [one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == "sleep"]
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.stdout.read()
    assert process.returncode == 0
    assert len(builders) == 1
    assert psutil.wait_procs(builders, timeout=10)[1] == []


def wait_for_answer(up: Up) -> str:
    deadline = time.monotonic() + 20
    while True:
        try:
            return up.get()
        except OSError:
            if time.monotonic() > deadline:
                raise
