"""The bootstrap script: quick, usable from anywhere, careful with a linked environment, and clear when it cannot go on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPT = REPOSITORY / "patchcord"


def run(
    script: Path, *arguments: str, cwd: Path | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(script), *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout whose .venv is a link to the environment these tests run in."""
    folder = tmp_path / "my clone"
    folder.mkdir()
    for name in ("patchcord", "requirements.lock", "requirements-offline-voice.lock", "requirements-uv.txt"):
        shutil.copy(REPOSITORY / name, folder)
    (folder / "graph_runtime").symlink_to(REPOSITORY / "graph_runtime")
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return folder


def test_help_is_a_page_that_names_both_commands(clone: Path) -> None:
    done = run(clone / "patchcord", "--help")
    assert done.returncode == 0
    assert "./patchcord up" in done.stdout
    assert "./patchcord test" in done.stdout
    assert "--data DIR" in done.stdout


def test_it_works_from_any_folder_even_one_with_modules_of_the_same_name(clone: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "graph_runtime.py").write_text("raise SystemExit('imported from the wrong place')")
    (trap / "argparse.py").write_text("raise SystemExit('imported from the wrong place')")
    assert run(clone / "patchcord", "--version", cwd=trap).returncode == 0


def test_it_works_through_a_link(clone: Path, tmp_path: Path) -> None:
    link = tmp_path / "patchcord-link"
    link.symlink_to(clone / "patchcord")
    assert run(link, "--version").returncode == 0


def test_a_linked_environment_is_used_and_never_changed(clone: Path) -> None:
    (clone / "requirements.lock").write_text("changed==1.0\n")
    assert run(clone / "patchcord", "--version").returncode == 0
    assert not (clone / ".uv").exists()


def test_a_link_to_nowhere_is_named(clone: Path) -> None:
    (clone / ".venv").unlink()
    (clone / ".venv").symlink_to("/nowhere")
    done = run(clone / "patchcord", "--version")
    assert done.returncode == 1
    assert ".venv is a link to a folder without a working Python" in done.stderr


def test_without_python_it_says_what_to_install(clone: Path, tmp_path: Path) -> None:
    (clone / ".venv").unlink()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "readlink", "cmp", "mkdir", "flock", "id"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    done = run(clone / "patchcord", "up", PATH=str(tools))
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "apt-get install python3" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "unknown command: 'frobnicate'"),
        (["up", "--port", "99999"], "a port is a number from 1 to 65535"),
        (["up", "--prot", "8000"], "--prot 8000 means nothing to ./patchcord up"),
    ],
)
def test_a_mistake_is_explained_and_help_named(clone: Path, arguments: list[str], said: str) -> None:
    done = run(clone / "patchcord", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "./patchcord --help" in done.stderr


@pytest.mark.parametrize("command", ["web", "worker", "migrate"])
def test_a_process_without_a_database_says_how_to_name_one(clone: Path, tmp_path: Path, command: str) -> None:
    done = run(clone / "patchcord", command, "--data", str(tmp_path / "data"))
    assert done.returncode == 78
    assert "DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_uv_it_installs_is_pinned_by_hash() -> None:
    lines = (REPOSITORY / "requirements-uv.txt").read_text().splitlines()
    assert any(line.startswith("uv==") for line in lines)
    assert sum("--hash=sha256:" in line for line in lines) > 10
