"""Every text of the editor exists in three languages, with the same places for values."""

import re
from pathlib import Path

import pytest

from builder_ui.canvas.canvas import HERE, KINDS, sources

ROW = re.compile(r'^ {2}(?:"([\w.]+)"|([\w.]+)): \[\s*((?:"(?:[^"\\]|\\.)*",?\s*)+)\],$', re.MULTILINE)
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
VALUE = re.compile(r"\{(\w+)(?:\|[^}]*)?\}")
USED = re.compile(r'\bt\(\s*"([\w.]+)"')
FILES = [f for f in sorted((HERE / "texts").glob("*.ts")) if "satisfies" in f.read_text("utf-8")]


def rows(file: Path) -> dict[str, list[str]]:
    """Key → its texts."""
    return {m[1] or m[2]: TEXT.findall(m[3]) for m in ROW.finditer(file.read_text("utf-8"))}


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_every_row_has_three_texts_with_the_same_values(file: Path) -> None:
    found = rows(file)
    assert found
    for key, texts in found.items():
        assert len(texts) == 3, key
        assert all(texts), key
        assert len({frozenset(VALUE.findall(text)) for text in texts}) == 1, key


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_russian_and_ukrainian_are_written_in_their_letters(file: Path) -> None:
    for key, (_, russian, ukrainian) in rows(file).items():
        assert not re.search("[іїєґ]", russian.lower()), key
        assert not re.search("[ыэъё]", ukrainian.lower()), key


def test_every_text_that_is_asked_for_exists() -> None:
    known = {key for file in FILES for key in rows(file)}
    for source in sources():
        code = re.sub(r"^\s*//.*$", "", (HERE / source).read_text("utf-8"), flags=re.MULTILINE)
        asked = set(USED.findall(code))
        assert asked <= known, f"{source}: {asked - known}"


def test_the_sources_stay_small_and_evaluate_nothing() -> None:
    for source in sources():
        text = (HERE / source).read_text("utf-8")
        assert source.suffix in KINDS
        assert text.count("\n") <= 330, source
        assert not re.search(r"\beval\(|new Function\(", text), source
