"""`new-connector` writes a channel that keeps every promise at once, and refuses names it cannot use."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from graph_runtime.cli import new_connector as command
from graph_runtime.cli.new_connector import new_connector, run
from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.connectors import Connector
from graph_runtime.contract.errors import InputInvalid
from tests.connectors import channel_promises, test_every_connector

MOST_LINES = 250


@pytest.fixture
def connector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connector]:
    """A fresh one, loaded under another package's name: `connectors` is taken by the real ones."""
    folder = new_connector("acme_chat", tmp_path)
    package = tmp_path / "generated_connectors"
    folder.parent.rename(package)
    (package / "__init__.py").write_text('"""Generated."""\n', encoding="utf-8")
    for file in package.rglob("*.py"):
        file.write_text(
            file.read_text("utf-8").replace("from connectors.", "from generated_connectors."), encoding="utf-8"
        )
    monkeypatch.syspath_prepend(tmp_path)
    try:
        yield load_catalog(["generated_connectors"]).connectors["acme_chat"]
    finally:
        for name in [n for n in sys.modules if n.startswith("generated_connectors")]:
            del sys.modules[name]


async def test_the_generated_channel_keeps_every_promise(connector: Connector) -> None:
    channel_promises.recorded_webhooks_become_messages(connector)
    channel_promises.a_wrong_signature_is_refused(connector)
    for part in channel_promises.KINDS.values():
        await channel_promises.every_kind_goes_out(connector, part)
    await channel_promises.faults_have_their_names(connector)
    assert connector.folder is not None
    lines = sum(len(p.read_text("utf-8").splitlines()) for p in connector.folder.rglob("*.py"))
    assert lines <= MOST_LINES


def test_the_generated_folder_keeps_every_promise(connector: Connector) -> None:
    promises = {
        name: promise
        for name, promise in vars(test_every_connector).items()
        if name.startswith("test_") and list(inspect.signature(promise).parameters)[:1] == ["connector"]
        and not inspect.iscoroutinefunction(promise)
    }  # fmt: skip
    assert len(promises) >= 8
    for name, promise in promises.items():
        if "language" in inspect.signature(promise).parameters:
            for language in ("en", "ru", "uk"):
                promise(connector, language)
        else:
            assert name
            promise(connector)


@pytest.mark.parametrize("name", ["", "Acme", "acme-chat", "2acme", "_x", "a__b", "class", "../x", "a" * 41, "ы"])
def test_a_bad_name_is_refused_with_an_example(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputInvalid, match="such as acme_chat"):
        new_connector(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "REPOSITORY", tmp_path)
    assert run(["acme_chat"]) == 0
    assert "tests/connectors -k acme_chat" in capsys.readouterr().out
    assert run(["acme_chat"]) == 2
    assert "already a folder" in capsys.readouterr().err
    assert run([]) == 2
