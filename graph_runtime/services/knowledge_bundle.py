"""A knowledge base as a file: pairs as CSV, all that is written as JSON, everything as ZIP. Pure.

`knowledge.json`: {"format": "patchcord-knowledge/1", "name", "description", "categories": [["Delivery", "Cities"], …],
"documents": [{"kind": "article" | "pair" | "page" | "file", …}]}. A ZIP holds it beside the files it names.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from graph_runtime.contract.errors import InputInvalid, TooLarge
from graph_runtime.services.contact_tables import read_table, unprotected
from graph_runtime.services.knowledge_values import (
    MAX_FILE_BYTES,
    checked_language,
    checked_text,
    checked_title,
    page_values,
)

FORMAT: Final = "patchcord-knowledge/1"
INSIDE: Final = "knowledge.json"
MAX_BYTES: Final = 100_000_000
MAX_JSON: Final = 50_000_000
MOST_ENTRIES: Final = 50_000
MOST_VERSIONS: Final = 50
DEEPEST: Final = 4
PATH_SIGN: Final = " › "
_ORDER: Final = {"category": 0, "article": 1, "pair": 2, "page": 3, "file": 4, "relation": 5}
_COLUMNS: Final = {
    "question": ("question", "вопрос", "запитання", "питання"),
    "answer": ("answer", "ответ", "відповідь"),
    "category": ("category", "категория", "категорія"),
    "language": ("language", "язык", "мова"),
}
_SIGNATURES: Final = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True, slots=True)
class OldVersion:
    """What an article said before."""

    number: int
    title: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to take in. `number` as its file counts; `problem`: why it cannot be; `other`: the origin of what a relation
    or an attachment points to; `path`: inside the ZIP. `text` "" with a `draft`: an article that was never published."""

    kind: str
    number: int
    about: str
    problem: str = ""
    origin: str = ""
    title: str = ""
    text: str = ""
    draft: str | None = None
    category: tuple[str, ...] = ()
    language: str = ""
    url: str = ""
    every_days: int = 0
    path: str = ""
    other: str = ""
    versions: tuple[OldVersion, ...] = ()


class Bundle:
    """A file that was read. `entries`: in the order in which they can be taken in, always the same."""

    def __init__(self, entries: Sequence[Entry], archive: zipfile.ZipFile | None = None) -> None:
        self.entries = sorted(entries, key=lambda e: _ORDER.get(e.kind, 9))
        self._archive = archive

    def content(self, entry: Entry) -> bytes:
        """The file of an entry. Raises: InputInvalid, TooLarge."""
        if self._archive is None:
            raise InputInvalid(
                "The file itself is not in here. Import the ZIP, or bring the file by hand.", field="file"
            )
        try:
            with self._archive.open(entry.path) as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except (KeyError, ValueError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
            raise InputInvalid("The file itself is missing or damaged in the ZIP.", field="file") from None
        if len(content) > MAX_FILE_BYTES:
            raise TooLarge("This file is larger than 25 MB.", limit=MAX_FILE_BYTES)
        return content


def read_bundle(content: bytes) -> Bundle:
    """What a file brings; entries that are wrong say why. Raises: InputInvalid, TooLarge when nothing of it can be used."""
    if len(content) > MAX_BYTES:
        raise TooLarge("This file is larger than 100 MB. Split it.", limit=MAX_BYTES)
    if content.startswith(_SIGNATURES):
        return _of_zip(content)
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start in (b"{", b"["):
        return Bundle(_of_json(content))
    return Bundle(_of_csv(content))


def _of_zip(content: bytes) -> Bundle:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        with archive.open(INSIDE) as file:
            told = file.read(MAX_JSON + 1)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        raise InputInvalid(
            f"There is no {INSIDE} in this ZIP, or it is damaged. Choose a file that was exported from a knowledge base.",
            field="file",
        ) from None
    return Bundle(_of_json(told), archive)


def _of_json(content: bytes) -> list[Entry]:
    if len(content) > MAX_JSON:
        raise TooLarge("The texts in this file are larger than 50 MB. Split it.", limit=MAX_JSON)
    try:
        told = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InputInvalid(f"This is no JSON in UTF-8{where}.", field="file") from None
    documents: Any = told
    entries: list[Entry] = []
    if isinstance(told, Mapping):
        if str(told.get("format", FORMAT)) != FORMAT:
            raise InputInvalid(f"This file was written by another version ({str(told['format'])[:40]}).", field="file")
        documents = told.get("documents", [])
        entries = [_category(n, c) for n, c in enumerate(_list(told.get("categories")), 1)]
    for number, one in enumerate(_list(documents), 1):
        entries += _document(number, one)
    if not entries:
        raise InputInvalid("There is nothing in this file that could be taken in.", field="file")
    if len(entries) > MOST_ENTRIES:
        raise TooLarge(f"At most {MOST_ENTRIES} entries at a time. Split the file.", limit=MOST_ENTRIES)
    return entries


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _category(number: int, value: Any) -> Entry:
    entry = Entry("category", number, str(value)[:100])
    try:
        path = _path(value)
        return replace(entry, about=PATH_SIGN.join(path)[:100], category=path)
    except InputInvalid as error:
        return replace(entry, problem=error.message)


def _document(number: int, one: Any) -> Iterator[Entry]:
    """The document, and its relations."""
    if not isinstance(one, Mapping):
        yield Entry("pair", number, str(one)[:100], "This is no document: braces with names and values are expected.")
        return
    kind = str(one.get("kind") or ("pair" if "question" in one else ""))
    about = str(one.get("title") or one.get("question") or one.get("url") or one.get("name") or "")[:100]
    entry = Entry(kind if kind in _ORDER else "pair", number, about, origin=_clean(one.get("id"))[:100])
    try:
        read = {"article": _article, "pair": _pair, "page": _page, "file": _file}.get(kind)
        if read is None:
            raise InputInvalid("“kind” is article, pair, page or file.", field="kind")
        path = _path(one.get("category") or [])
        language = checked_language(_clean(one.get("language")))
        yield replace(read(entry, one), category=path, language=language)
    except (InputInvalid, TooLarge) as error:
        yield replace(entry, problem=error.message)
        return
    for other in _list(one.get("see_also"))[:50]:
        if entry.origin:
            yield Entry("relation", number, about, origin=entry.origin, other=_clean(other)[:100])


def _article(entry: Entry, one: Mapping[str, Any]) -> Entry:
    draft = one.get("draft")
    text = _clean(one.get("text"))
    return replace(
        entry,
        title=checked_title(_clean(one.get("title"))),
        text=checked_text(text) if draft is None or text else "",
        draft=None if draft is None else checked_text(_clean(draft)),
        versions=tuple(_versions(_list(one.get("versions")))),
    )


def _versions(told: Sequence[Any]) -> Iterator[OldVersion]:
    for one in told[:MOST_VERSIONS]:
        if isinstance(one, Mapping) and isinstance(one.get("number"), int) and 1 <= one["number"] < 1_000_000:
            try:
                at = datetime.fromisoformat(str(one.get("at")))
            except ValueError:
                raise InputInvalid("The time of an earlier version is not one.", field="versions") from None
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            title, text = checked_title(_clean(one.get("title"))), checked_text(_clean(one.get("text")))
            yield OldVersion(one["number"], title, text, at)


def _pair(entry: Entry, one: Mapping[str, Any]) -> Entry:
    question = one.get("question") or one.get("title")
    return replace(entry, title=checked_title(_clean(question)), text=checked_text(_clean(one.get("answer"))))


def _page(entry: Entry, one: Mapping[str, Any]) -> Entry:
    days = one.get("every_days") or 0
    values = page_values(_clean(one.get("url")), days if isinstance(days, int) else -1)
    return replace(entry, url=values["url"], title=values["title"], every_days=values["read_every_days"] or 0)


def _file(entry: Entry, one: Mapping[str, Any]) -> Entry:
    name, path = _clean(one.get("name")), _clean(one.get("file"))
    if not name or not path:
        raise InputInvalid("A file needs its “name” and where it lies in the ZIP (“file”).", field="file")
    return replace(entry, title=name[:255], path=path, other=_clean(one.get("attached_to"))[:100])


def _of_csv(content: bytes) -> list[Entry]:
    table = read_table(content)
    known = {name: key for key, names in _COLUMNS.items() for name in names}
    keys = [known.get(column.strip().casefold(), "") for column in table.columns]
    if not {"question", "answer"} <= set(keys):
        raise InputInvalid(
            "The first line must name the columns: question and answer, perhaps category and language.", field="file"
        )
    entries = []
    for number, row in table.rows():
        cells = {key: unprotected(cell).strip() for key, cell in zip(keys, row, strict=False) if key}
        entry = Entry("pair", number, cells.get("question", "")[:100])
        try:
            entries.append(
                replace(
                    entry,
                    title=checked_title(_clean(cells.get("question"))),
                    text=checked_text(_clean(cells.get("answer"))),
                    category=_path([c for c in cells.get("category", "").split(PATH_SIGN.strip()) if c.strip()]),
                    language=checked_language(cells.get("language", "").casefold()[:2]),
                )
            )
        except (InputInvalid, TooLarge) as error:
            entries.append(replace(entry, problem=error.message))
    if len(entries) > MOST_ENTRIES:
        raise TooLarge(f"At most {MOST_ENTRIES} entries at a time. Split the file.", limit=MOST_ENTRIES)
    return entries


def _path(value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or len(names) > DEEPEST or not all(isinstance(n, str) for n in names):
        raise InputInvalid(f"A category is a list of at most {DEEPEST} names, from the top down.", field="category")
    path = tuple(" ".join(_clean(n).split()) for n in names)
    if not all(1 <= len(n) <= 200 for n in path):
        raise InputInvalid("The name of a category has 1 to 200 characters.", field="category")
    return path


def _clean(value: Any) -> str:
    """As the database can keep it."""
    text = value if isinstance(value, str) else ""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
