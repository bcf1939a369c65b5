"""The browser for tests: the one that was chosen, the one on PATH, or a sentence that says how to get one."""

import os
from pathlib import Path

import pytest

from graph_runtime.cli.chromium import VARIABLE, NoChromium, ensure_chromium


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No browser anywhere, and an account that may install nothing."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "none"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return tmp_path


def test_a_chosen_program_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/opt/my-chromium")
    assert ensure_chromium() == "/opt/my-chromium"


@pytest.mark.parametrize("name", ["chromium", "google-chrome"])
def test_a_browser_on_the_path_is_found(bare_machine: Path, name: str) -> None:
    program = bare_machine / name
    program.touch(mode=0o755)
    assert ensure_chromium() == str(program)


def test_without_one_it_says_exactly_what_to_install() -> None:
    with pytest.raises(NoChromium) as missing:
        ensure_chromium()
    assert "sudo apt-get install chromium" in str(missing.value)
    assert "-m playwright install chromium" in str(missing.value)
