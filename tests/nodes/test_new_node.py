"""`new-node` writes a step that keeps every promise at once, and refuses names it cannot use."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from graph_runtime.cli import new_node as command
from graph_runtime.cli.new_node import new_node, run
from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.errors import InputInvalid
from tests.nodes.promises import PROMISES


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nodes").mkdir()
    return tmp_path


def test_the_generated_step_keeps_every_promise(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_node("send_sticker", root)
    assert folder == root / "nodes" / "send_sticker"
    # The catalog imports by package name, and `nodes` is taken by the real ones.
    package = root / "generated_steps"
    (root / "nodes").rename(package)
    (package / "__init__.py").write_text('"""Generated."""\n', encoding="utf-8")
    monkeypatch.syspath_prepend(root)
    try:
        node = load_catalog(["generated_steps"]).nodes["send_sticker"]
        for promise in PROMISES:
            promise(node)
    finally:
        for name in [n for n in sys.modules if n.startswith("generated_steps")]:
            del sys.modules[name]


@pytest.mark.parametrize("name", ["", "Send", "send-sticker", "2send", "_x", "send__x", "class", "../x", "a" * 41, "ы"])
def test_a_bad_name_is_refused_with_an_example(root: Path, name: str) -> None:
    with pytest.raises(InputInvalid, match="such as send_sticker") as refused:
        new_node(name, root)
    assert refused.value.field == "name"
    assert list((root / "nodes").iterdir()) == []


def test_a_taken_name_is_refused_naming_the_place(root: Path) -> None:
    new_node("send_sticker", root)
    with pytest.raises(InputInvalid, match="nodes/send_sticker"):
        new_node("send_sticker", root)


def test_an_action_of_a_connector_takes_the_name_too(root: Path) -> None:
    action = root / "connectors" / "acme" / "find_deal"
    action.mkdir(parents=True)
    (action / "node.py").touch()
    with pytest.raises(InputInvalid, match="connectors/acme/find_deal"):
        new_node("find_deal", root)


def test_a_folder_in_the_way_is_left_alone(root: Path) -> None:
    (root / "nodes" / "send_sticker").mkdir()
    with pytest.raises(InputInvalid, match="remove the folder"):
        new_node("send_sticker", root)


@pytest.mark.parametrize("args", [[], ["a", "b"], ["--help"], ["Bad Name"], ["ask"]])
def test_the_command_says_what_is_wrong(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 2
    assert capsys.readouterr().err.strip()


def test_the_command_says_what_to_do_next(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "REPOSITORY", root)
    assert run(["send_sticker"]) == 0
    assert "tests/nodes -k send_sticker" in capsys.readouterr().out
