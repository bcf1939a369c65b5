"""Every import contract is proved to bite: a deliberate bad import breaks exactly that contract."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

PACKAGES = (
    *("api", "cli", "contract", "engine", "jobs", "knowledge", "services", "storage", "worker"),
    *(
        "nodes/ask",
        "nodes/end",
        "connectors/openai",
        "connectors/telegram",
        "connectors/_langchain",
        "builder_ui/editor",
        "voice/audiosocket",
        "voice/websocket",
    ),
)

BAD_IMPORTS = {
    "Layers: imports point downwards": [
        ("graph_runtime/contract/flow.py", "import graph_runtime.storage"),
        ("graph_runtime/storage/flows.py", "import graph_runtime.services"),
        ("graph_runtime/services/drafts.py", "import graph_runtime.api"),
        ("graph_runtime/engine/run.py", "import graph_runtime.knowledge"),
        ("graph_runtime/storage/flows.py", "import graph_runtime.jobs"),
        ("graph_runtime/api/app.py", "import graph_runtime.worker"),
    ],
    "The runtime never names a plugin": [
        ("graph_runtime/engine/run.py", "import nodes.ask"),
        ("graph_runtime/services/channels.py", "from connectors import telegram"),
        ("graph_runtime/api/app.py", "import builder_ui"),
        ("graph_runtime/api/app.py", "import voice.main"),
    ],
    "Nodes and connectors see only the contract": [
        ("nodes/ask/node.py", "import graph_runtime.engine"),
        ("nodes/ask/node.py", "from graph_runtime import settings"),
        ("connectors/telegram/channel.py", "import graph_runtime.storage"),
        ("nodes/ask/node.py", "import builder_ui"),
    ],
    "Screens and phone go through services": [
        ("builder_ui/editor/state.py", "import graph_runtime.storage"),
        ("builder_ui/editor/state.py", "from graph_runtime import engine"),
        ("voice/main.py", "import graph_runtime.storage"),
        ("voice/playout.py", "import graph_runtime.contract"),
    ],
    "The phone names no plugin and no screen": [("voice/main.py", "import connectors.openai")],
    "Decisions of a call are pure": [("voice/frames.py", "import asyncio")],
    "Nodes and connectors are independent of one another": [
        ("nodes/ask/node.py", "import nodes.end"),
        ("connectors/telegram/channel.py", "import connectors.openai"),
        ("nodes/ask/node.py", "import connectors.openai"),
        ("connectors/_langchain/adapter.py", "import connectors.openai"),
    ],
    "No cycles between packages": [
        ("builder_ui/editor/state.py", "import builder_ui.palette"),
    ],
    "LangGraph lives in the engine": [("graph_runtime/worker/main.py", "from langgraph.graph import StateGraph")],
    "The database lives in storage": [
        ("graph_runtime/services/drafts.py", "import sqlalchemy"),
        ("graph_runtime/engine/run.py", "import psycopg"),
    ],
    "HTTP serving lives in the API": [("graph_runtime/services/drafts.py", "import fastapi")],
    "Reflex lives in the screens": [("graph_runtime/api/app.py", "import reflex")],
    "Dramatiq lives in jobs and worker": [("graph_runtime/services/drafts.py", "import dramatiq")],
    "Haystack lives in knowledge": [("graph_runtime/services/drafts.py", "import haystack")],
    "LangChain lives in its adapter": [("connectors/openai/connector.py", "import langchain_openai")],
    "Whisper lives in its connector": [("voice/main.py", "import faster_whisper")],
    "Google's speech lives in its connector": [
        ("connectors/openai/connector.py", "import google.cloud.speech_v2"),
        ("voice/main.py", "import grpc"),
    ],
    "The offline voice lives in its helper processes": [
        ("connectors/openai/connector.py", "import pocketsphinx"),
        ("graph_runtime/services/drafts.py", "import espeakng_loader"),
    ],
}

ALLOWED_IMPORTS = [
    (
        "graph_runtime/engine/run.py",
        "import langgraph.graph\nimport graph_runtime.storage\nimport graph_runtime.contract",
    ),
    ("graph_runtime/storage/flows.py", "import sqlalchemy, psycopg"),
    ("graph_runtime/api/app.py", "import fastapi\nimport graph_runtime.services"),
    ("builder_ui/editor/state.py", "import reflex\nimport graph_runtime.services\nimport graph_runtime.contract"),
    ("nodes/ask/node.py", "import graph_runtime.contract"),
    ("connectors/openai/connector.py", "import connectors._langchain\nimport graph_runtime.contract"),
    ("connectors/_langchain/adapter.py", "import langchain_openai"),
    ("voice/main.py", "import graph_runtime.settings\nimport voice.playout"),
    ("voice/frames.py", ""),
    ("voice/turn_taking.py", ""),
    ("voice/ladder.py", ""),
    ("voice/words.py", ""),
    ("voice/playout.py", "import asyncio"),
    ("voice/audiosocket/protocol.py", "import voice.frames"),
    ("voice/websocket/protocol.py", "import voice.frames"),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The outline of this repository, small enough to be checked many times."""
    for name in PACKAGES:
        folder = tmp_path / (name if "/" in name else f"graph_runtime/{name}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
        (folder.parent / "__init__.py").touch()
    (tmp_path / "graph_runtime" / "settings.py").touch()
    for path, text in ALLOWED_IMPORTS:
        (tmp_path / path).write_text(text + "\n")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def broken_contracts(tree: Path) -> set[str]:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "COLUMNS": "200", "PYTHONPATH": str(tree)},
    )
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    return set(re.findall(r"^(.+) BROKEN\b", done.stdout, re.MULTILINE))


def test_the_outline_without_bad_imports_keeps_every_contract(tree: Path) -> None:
    assert broken_contracts(tree) == set()


@pytest.mark.parametrize(
    ("contract", "path", "line"),
    [(contract, path, line) for contract, cases in BAD_IMPORTS.items() for path, line in cases],
)
def test_a_bad_import_breaks_its_contract(tree: Path, contract: str, path: str, line: str) -> None:
    if contract == "No cycles between packages":
        (tree / "builder_ui" / "palette").mkdir()
        (tree / "builder_ui" / "palette" / "__init__.py").write_text("import builder_ui.editor\n")
    with (tree / path).open("a") as module:
        module.write(line + "\n")
    assert contract in broken_contracts(tree)


def test_every_contract_has_a_bad_import() -> None:
    configuration = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    names = [contract["name"] for contract in configuration["tool"]["importlinter"]["contracts"]]
    assert sorted(names) == sorted(BAD_IMPORTS)
