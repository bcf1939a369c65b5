"""`patchcord new-connector NAME`: write a complete channel that works, in three languages, ready to be changed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from graph_runtime.cli.new_connector_texts import CHANNEL, CONNECTOR, HELP, ICON, TEXTS, WEBHOOKS
from graph_runtime.cli.new_node import is_usable_name
from graph_runtime.contract.errors import InputInvalid
from graph_runtime.places import REPOSITORY


def new_connector(name: str, root: Path) -> Path:
    """Write `root/connectors/<name>/` and return it. Raises: InputInvalid with a sentence saying what to change."""
    if not is_usable_name(name):
        raise InputInvalid(
            f"“{name}” cannot be the name of a connector. Use small Latin letters, digits and single underscores, "
            "beginning with a letter, at most 40 characters, such as acme_chat.",
            field="name",
        )
    folder = root / "connectors" / name
    if folder.exists():
        raise InputInvalid(
            f"There is already a folder {folder.relative_to(root)}. Choose another name or change that one.",
            field="name",
        )
    label = name.replace("_", " ").capitalize()

    def filled(text: str) -> str:
        return text.replace("@LABEL@", label).replace("@NAME@", name)

    (folder / "examples").mkdir(parents=True)
    texts = {label: {"ru": label, "uk": label}} | TEXTS
    files = {
        "__init__.py": f'"""{label}."""\n',
        "connector.py": filled(CONNECTOR),
        "channel.py": filled(CHANNEL),
        "icon.svg": ICON,
        "texts.json": filled(json.dumps(texts, ensure_ascii=False, indent=2) + "\n"),
        "examples/webhooks.json": json.dumps(WEBHOOKS, ensure_ascii=False, indent=1) + "\n",
        **{f"help{end}.md": filled(text) for end, text in HELP.items()},
    }
    for path, text in files.items():
        (folder / path).write_text(text, encoding="utf-8", newline="\n")
    return folder


def run(args: list[str]) -> int:
    """The command line: one name; 2 when it is missing or cannot be used."""
    if len(args) != 1 or args[0].startswith("-"):
        print("Give the new connector one name: ./patchcord new-connector acme_chat", file=sys.stderr)
        return 2
    try:
        folder = new_connector(args[0], REPOSITORY)
    except InputInvalid as e:
        print(e.message, file=sys.stderr)
        return 2
    print(f"connectors/{folder.name} is a working channel. Next:")
    print("  1. change channel.py to what the vendor does, then the help, texts, icon and examples beside it")
    print(f"  2. ./patchcord test tests/connectors -k {folder.name}")
    print("Nothing has to be registered. docs/adding-a-connector.md says more.")
    return 0
