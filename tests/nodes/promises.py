"""What every step promises: one function per promise, run on every step there is, the generated one included."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree as ET

from graph_runtime.contract.forms import FormField
from graph_runtime.contract.nodes import Category, NodeType, Port
from graph_runtime.examples import ExampleRun, run_example

LANGUAGES = ("en", "ru", "uk")
FILES = {
    "__init__.py", "node.py", "help.md", "help.ru.md", "help.uk.md", "icon.svg", "examples.json", "texts.json",
}  # fmt: skip
PORT_ID = re.compile(r"[a-z][a-z0-9_]{0,39}")
MAX_LINES = 150
MAX_ICON_BYTES = 4096
ONLY_RUSSIAN, ONLY_UKRAINIAN = set("ыъэёЫЪЭЁ"), set("іїєґІЇЄҐ")
# A boolean's label is a statement that is true when the switch is on.
NOT_A_STATEMENT = re.compile(
    r"^(enable|disable|use|show|hide|allow|do|should|is|are|whether|turn|switch|save|send|ask|wait)\b|\?$",
    re.IGNORECASE,
)


def folder(node: NodeType) -> Path:
    """Where the step lives; the catalog has set it."""
    assert node.folder is not None
    return node.folder


def examples(node: NodeType) -> list[dict[str, Any]]:
    """The step's examples."""
    loaded: list[dict[str, Any]] = json.loads((folder(node) / "examples.json").read_text("utf-8"))
    return loaded


def runs(node: NodeType) -> Iterator[tuple[dict[str, Any], ExampleRun]]:
    """Every example with what it did."""
    for example in examples(node):
        yield example, asyncio.run(run_example(node, example))


def fields(form: tuple[FormField, ...]) -> Iterator[FormField]:
    """Every field of a form, those of rows included."""
    for field in form:
        yield field
        yield from fields(field.fields)


def ports_of(node: NodeType) -> dict[str, Port]:
    """Every exit that the default settings or an example have."""
    given = [{}, *(e["given"].get("settings", {}) for e in examples(node))]
    return {p.id: p for settings in given for p in node.ports(node.settings.model_validate(settings))}


def sources(node: NodeType) -> set[str]:
    """Every English text of the interface."""
    found = {node.label, node.summary, *node.step_outputs.values()}
    for field in fields(node.form()):
        if field.widget != "id":
            found |= {field.label, field.help, field.placeholder, *(label for _, label in field.options)}
    return (found | own_exits(node)) - {""}


def own_exits(node: NodeType) -> set[str]:
    """Labels of exits that the type names, not the author of a flow."""
    by_author = json.dumps([e["given"].get("settings", {}) for e in examples(node)], ensure_ascii=False)
    return {p.label for p in ports_of(node).values() if f'"{p.label}"' not in by_author}


def has_a_complete_folder(node: NodeType) -> None:
    present = {p.name for p in folder(node).iterdir() if p.is_file()}
    assert present == FILES


def has_a_snake_case_type_equal_to_its_folder(node: NodeType) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", node.type)
    assert folder(node).name == node.type
    assert node.category in get_args(Category)


def labels_every_setting_and_option(node: NodeType) -> None:
    for field in fields(node.form()):
        assert field.label.strip(), field.key
        assert len(field.label) <= 60, field.label
        assert field.label == field.label.strip(" .:"), field.label
        for value, label in field.options:
            assert label != value or not isinstance(value, str), f"{field.key}: {value} has no name of its own"


def has_valid_default_settings(node: NodeType) -> None:
    settings = node.settings()
    assert node.settings.model_validate(settings.model_dump(mode="json", by_alias=True)) == settings
    node.ports(settings)


def has_unique_valid_ports(node: NodeType) -> None:
    given = [{}, *(e["given"].get("settings", {}) for e in examples(node))]
    for settings in given:
        ports = node.ports(node.settings.model_validate(settings))
        ids = [p.id for p in ports]
        assert len(ids) == len(set(ids))
        assert all(PORT_ID.fullmatch(i) for i in ids)
        assert all(p.label for p in ports)
        assert bool(ids) is not node.ends


def has_an_example_for_every_port(node: NodeType) -> None:
    assert set(ports_of(node)) - {e["expected"].get("port") for e in examples(node)} == set()
    assert examples(node)


def names_its_examples_in_every_language(node: NodeType) -> None:
    for language in LANGUAGES:
        names = [e["name"][language] for e in examples(node)]
        assert len(names) == len(set(names))
        for name in names:
            assert name[0].isupper() or name[0] in "“«", name
            _is_written_in(language, name)


def keeps_its_examples(node: NodeType) -> None:
    for example, run in runs(node):
        wrong = run.differences(example["expected"])
        assert not wrong, f"{example['name']['en']}: {wrong}"
        exits = {p.id for p in node.ports(node.settings.model_validate(example["given"].get("settings", {})))}
        assert run.port in exits | {""}
        assert set(run.context.outputs) <= set(node.step_outputs)


def has_help_under_its_label(node: NodeType) -> None:
    for language in LANGUAGES:
        text = (folder(node) / f"help{'' if language == 'en' else '.' + language}.md").read_text("utf-8")
        assert text.splitlines()[0] == f"# {_translated(node, node.label, language)}"
        assert sum(line.startswith("## ") for line in text.splitlines()) >= 4
        _is_written_in(language, text)


def explains_every_exit_in_its_help(node: NodeType) -> None:
    for language in LANGUAGES:
        text = (folder(node) / f"help{'' if language == 'en' else '.' + language}.md").read_text("utf-8")
        for label in own_exits(node):
            assert f"**{_translated(node, label, language)}**" in text, (language, label)


def has_a_plain_icon(node: NodeType) -> None:
    text = (folder(node) / "icon.svg").read_text("utf-8")
    root = ET.fromstring(text)
    assert len(text.encode()) <= MAX_ICON_BYTES
    assert root.attrib["viewBox"] == "0 0 24 24"
    assert root.attrib["stroke"] == "currentColor"
    allowed = {"svg", "g", "path", "circle", "rect", "line", "polyline", "ellipse"}
    assert {e.tag.split("}")[-1] for e in root.iter()} <= allowed
    assert not any(a.lower().startswith("on") or "href" in a for e in root.iter() for a in e.attrib)


def has_an_unbroken_upgrade_chain(node: NodeType) -> None:
    assert set(node.upgrades) == set(range(1, node.version))


def labels_booleans_as_statements(node: NodeType) -> None:
    for field in fields(node.form()):
        if field.widget == "switch":
            assert len(field.label.split()) >= 3, field.label
            assert not NOT_A_STATEMENT.search(field.label), field.label


def is_translated(node: NodeType) -> None:
    for source in sorted(sources(node)):
        for language in ("ru", "uk"):
            text = node.texts.get(source, {}).get(language, "")
            assert text.strip(), f"{source!r} has no {language}"
            _is_written_in(language, text)
            assert re.findall(r"{{.*?}}", text) == re.findall(r"{{.*?}}", source)


def has_no_stale_texts(node: NodeType) -> None:
    code = (folder(node) / "node.py").read_text("utf-8")
    stale = [s for s in node.texts if s not in sources(node) and s not in code and s not in node.settings.common_texts]
    assert stale == []


def is_short(node: NodeType) -> None:
    assert len((folder(node) / "node.py").read_text("utf-8").splitlines()) <= MAX_LINES


def sees_only_the_contract(node: NodeType) -> None:
    tree = ast.parse((folder(node) / "node.py").read_text("utf-8"))
    for part in ast.walk(tree):
        names = [a.name for a in part.names] if isinstance(part, ast.Import) else []
        names += [part.module or ""] if isinstance(part, ast.ImportFrom) else []
        for name in names:
            top = name.split(".")[0]
            assert name.startswith("graph_runtime.contract") or top in sys.stdlib_module_names, name


def has_the_halves_it_declares(node: NodeType) -> None:
    assert node.run is not None
    assert (node.reply is not None) is (node.waits == "reply") or node.waits == "time"  # a message may end that wait
    assert (node.resume is not None) is (node.waits == "time")


def tells_its_story_with_settings_it_has(node: NodeType) -> None:
    assert set(node.story) <= {f.key for f in node.form()}
    assert not node.subflow or node.subflow in {f.key for f in node.form()}


def _translated(node: NodeType, source: str, language: str) -> str:
    return source if language == "en" else node.texts[source][language]


def _is_written_in(language: str, text: str) -> None:
    wrong = {"ru": ONLY_UKRAINIAN, "uk": ONLY_RUSSIAN, "en": set()}[language]
    assert not wrong & set(text), f"{sorted(wrong & set(text))} in {text!r}"


PROMISES: tuple[Callable[[NodeType], None], ...] = (
    has_a_complete_folder,
    has_a_snake_case_type_equal_to_its_folder,
    labels_every_setting_and_option,
    has_valid_default_settings,
    has_unique_valid_ports,
    has_an_example_for_every_port,
    names_its_examples_in_every_language,
    keeps_its_examples,
    has_help_under_its_label,
    explains_every_exit_in_its_help,
    has_a_plain_icon,
    has_an_unbroken_upgrade_chain,
    labels_booleans_as_statements,
    is_translated,
    has_no_stale_texts,
    is_short,
    sees_only_the_contract,
    has_the_halves_it_declares,
    tells_its_story_with_settings_it_has,
)
