"""`./patchcord test`: quick tests before slow ones, and every folder of tests belongs to a stage."""

from pathlib import Path

from graph_runtime.cli import test_run as runner

REPOSITORY = Path(__file__).resolve().parents[3]


def test_slow_folders_come_last() -> None:
    paths = runner._chosen_paths(fast=False, screens=False)
    slow = [path for path in paths if path.removeprefix("tests/") in runner.SLOW_FOLDERS]
    assert "tests/integration" in slow
    assert paths[-len(slow) :] == slow


def test_fast_leaves_out_only_the_slow_folders() -> None:
    fast = runner._chosen_paths(fast=True, screens=False)
    everything = runner._chosen_paths(fast=False, screens=False)
    assert [path for path in everything if path.removeprefix("tests/") not in runner.SLOW_FOLDERS] == fast


def test_no_test_is_left_out() -> None:
    chosen = [REPOSITORY / path for path in runner._chosen_paths(fast=False, screens=False)]
    forgotten = [
        path
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        if not any(path == place or place in path.parents for place in chosen)
    ]
    assert forgotten == []
