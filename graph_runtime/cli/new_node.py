"""`patchcord new-node NAME`: write a complete step that works, in three languages, ready to be changed."""

from __future__ import annotations

import json
import keyword
import re
import sys
from pathlib import Path

from graph_runtime.contract.errors import InputInvalid
from graph_runtime.places import REPOSITORY

_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
_LANGUAGES = ("en", "ru", "uk")

_NODE = '''"""@LABEL@: say a text and go on."""

from __future__ import annotations

from graph_runtime.contract.messages import Text
from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, setting


class Settings(NodeSettings):
    """What the author fills in; every field becomes a row of the form."""

    text: str = setting(
        "Text",
        default="",
        widget="template",
        required=True,
        outside=True,
        max_length=8000,
        placeholder="Hello, {{ contact.first_name }}.",
    )


NODE = NodeType(
    type="@TYPE@",
    category="talk",
    label="@LABEL@",
    summary="Says a text and goes on.",
    settings=Settings,
    story=("text",),
)


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Say the text in the contact's language."""
    await ctx.say(Text(text=ctx.render(ctx.text("text", settings.text))))
    return Leave()
'''

_TEXTS = {
    "Says a text and goes on.": {"ru": "Говорит текст и идёт дальше.", "uk": "Каже текст і йде далі."},
    "Text": {"ru": "Текст", "uk": "Текст"},
    "Hello, {{ contact.first_name }}.": {
        "ru": "Здравствуйте, {{ contact.first_name }}.",
        "uk": "Вітаємо, {{ contact.first_name }}.",
    },
    "Next": {"ru": "Далее", "uk": "Далі"},
}
_EXAMPLES = [
    {
        "name": {
            "en": "The text is said with the contact's name",
            "ru": "Текст звучит с именем клиента",
            "uk": "Текст лунає з ім'ям клієнта",
        },
        "given": {"settings": {"text": "Hello, {{ contact.first_name }}."}, "contact": {"first_name": "Olena"}},
        "expected": {"port": "next", "said": ["Hello, Olena."]},
    }
]
_HELP = {
    "en": """# @LABEL@

Says a text and goes on.

## When to use it
Describe in a sentence when a person should choose this step and not another.

## Exits
- **Next**: always.

## Tips
- Press `{` to put in a variable.

## Example
“Hello, {{ contact.first_name }}.” says “Hello, Olena.”
""",
    "ru": """# @LABEL@

Говорит текст и идёт дальше.

## Когда нужен
Опишите одной фразой, когда стоит выбрать этот шаг, а не другой.

## Выходы
- **Далее**: всегда.

## Советы
- Нажмите `{`, чтобы вставить переменную.

## Пример
«Здравствуйте, {{ contact.first_name }}» звучит как «Здравствуйте, Елена».
""",
    "uk": """# @LABEL@

Каже текст і йде далі.

## Коли потрібен
Опишіть одним реченням, коли варто обрати цей крок, а не інший.

## Виходи
- **Далі**: завжди.

## Поради
- Натисніть `{`, щоб вставити змінну.

## Приклад
«Вітаємо, {{ contact.first_name }}» лунає як «Вітаємо, Олено».
""",
}
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24" fill="none" '
    'stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round">'
    '<rect x="4" y="4" width="16" height="16" rx="4"/><path d="M8.5 12h7M12 8.5v7"/></svg>\n'
)


def is_usable_name(name: str) -> bool:
    """Whether it can name a folder of Python code."""
    return _NAME.match(name) is not None and len(name) <= 40 and not keyword.iskeyword(name)


def new_node(name: str, root: Path) -> Path:
    """Write `root/nodes/<name>/` and return it. Raises: InputInvalid with a sentence saying what to change."""
    if not is_usable_name(name):
        raise InputInvalid(
            f"“{name}” cannot be the name of a step. Use small Latin letters, digits and single underscores, beginning "
            "with a letter, at most 40 characters, such as send_sticker.",
            field="name",
        )
    packages = root / "nodes"
    taken = next((p for p in _taken(root) if p.name == name), None)
    if taken is not None:
        raise InputInvalid(
            f"There is already a step “{name}” in {taken.relative_to(root)}. Choose another name or change that one.",
            field="name",
        )
    folder = packages / name
    if folder.exists():
        raise InputInvalid(
            f"The folder {folder.relative_to(root)} already exists. Choose another name or remove the folder first.",
            field="name",
        )
    label = name.replace("_", " ").capitalize()
    texts = {label: {"ru": label, "uk": label}} | _TEXTS
    folder.mkdir(parents=True)
    _write(folder / "__init__.py", f'"""{label} step."""\n')
    _write(folder / "node.py", _NODE.replace("@LABEL@", label).replace("@TYPE@", name))
    _write(folder / "texts.json", json.dumps(texts, ensure_ascii=False, indent=2) + "\n")
    _write(folder / "examples.json", json.dumps(_EXAMPLES, ensure_ascii=False, indent=2) + "\n")
    _write(folder / "icon.svg", _ICON)
    for language in _LANGUAGES:
        suffix = "" if language == "en" else f".{language}"
        _write(folder / f"help{suffix}.md", _HELP[language].replace("@LABEL@", label))
    return folder


def _taken(root: Path) -> list[Path]:
    patterns = ("nodes/*/node.py", "connectors/*/*/node.py")
    return [found.parent for pattern in patterns for found in root.glob(pattern)]


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", newline="\n")


def run(args: list[str]) -> int:
    """The command line: one name; 2 when it is missing or cannot be used."""
    if len(args) != 1 or args[0].startswith("-"):
        print("Give the new step one name: ./patchcord new-node send_sticker", file=sys.stderr)
        return 2
    try:
        folder = new_node(args[0], REPOSITORY)
    except InputInvalid as e:
        print(e.message, file=sys.stderr)
        return 2
    print(f"nodes/{folder.name} is a working step. Next:")
    print("  1. change node.py, then the help, texts, icon and examples beside it")
    print(f"  2. ./patchcord test tests/nodes -k {folder.name}")
    print("Nothing has to be registered: it is in the palette after the next start. docs/adding-a-node.md says more.")
    return 0
