"""Files become Markdown: headings, lists and tables survive; what cannot be read says why in one code.

Runs in the reading process only. The libraries are imported when a file of their kind comes.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from graph_runtime.knowledge.html_text import html_to_markdown

MOST_UNPACKED_BYTES: Final = 300_000_000
MOST_CHARACTERS: Final = 12_000_000
MOST_PAGES: Final = 5000
PAGES_AT_ONCE: Final = 20
MOST_ROWS: Final = 100_000
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BROKEN_WORD: Final = re.compile(r"(\w)[-\u00ad]\n(\w)")
_FRONT_MATTER: Final = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


class Unreadable(Exception):
    """A file that gives no text. `code` names the sentence that people read."""

    def __init__(self, code: str, about: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.about = about


@dataclass(frozen=True, slots=True)
class Converted:
    """Markdown, and the title that the file gives itself. `pictures`: pages that are pictures without text."""

    markdown: str
    title: str = ""
    pictures: tuple[int, ...] = ()


def convert(content: bytes, extension: str) -> Converted:
    """`extension` as `kind_by_content` found it.

    Raises: Unreadable (encrypted, empty, scanned, too_large, damaged, wrong_type, old_format).
    """
    if not content or content.isspace():
        raise Unreadable("empty")
    reads = _READERS.get(extension)
    if reads is None:
        raise Unreadable("wrong_type", extension)
    if extension in ("docx", "xlsx", "pptx"):
        _check_package(content)
    try:
        converted = reads(content)
    except Unreadable:
        raise
    except (MemoryError, RecursionError):
        raise Unreadable("too_large") from None
    except Exception as error:
        raise Unreadable("damaged", type(error).__name__) from error
    if len(converted.markdown) > MOST_CHARACTERS:
        raise Unreadable("too_large")
    if not converted.markdown.strip("\f0123456789\n\t \ufeff"):
        raise Unreadable("empty")
    return converted


def kind_by_content(content: bytes, name: str) -> str:
    """The extension a file should have by its first bytes; its name only tells kinds of text apart. Raises: Unreadable."""
    given = name.rpartition(".")[2].lower() if "." in name else ""
    if content.startswith(b"%PDF-") or b"%PDF-" in content[:1024]:
        return "pdf"
    if content.startswith(_OLE):
        is_locked = "EncryptedPackage".encode("utf-16-le") in content
        raise Unreadable("encrypted" if is_locked else "old_format")
    if content.startswith(b"PK\x03\x04"):
        return _kind_of_package(content)
    text = decoded(content[:4096], is_part=True)
    if text is None:
        raise Unreadable("wrong_type", given)
    start = text.lstrip("\ufeff \t\r\n").lower()
    if given in ("html", "htm", "xhtml") or start.startswith(("<!doctype html", "<html")):
        return "html"
    return {"md": "md", "markdown": "md", "csv": "csv", "tsv": "csv"}.get(given, "txt")


def decoded(content: bytes, *, is_part: bool = False) -> str | None:
    """Text of bytes: UTF-8, UTF-16 with its mark, else Windows Cyrillic; None when it is no text."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if is_part and error.start > len(content) - 4:
            return content[: error.start].decode("utf-8-sig")
    text = content.decode("cp1251", "replace")
    strange = sum(not (c.isprintable() or c in "\r\n\t\f") for c in text)
    return text if strange <= len(text) // 50 else None


def _kind_of_package(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            names = package.namelist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise Unreadable("damaged", type(error).__name__) from error
    for folder, kind in (("word/", "docx"), ("xl/", "xlsx"), ("ppt/", "pptx")):
        if any(n.startswith(folder) for n in names):
            return kind
    raise Unreadable("wrong_type", "zip")


def _check_package(content: bytes) -> None:
    """An archive may unpack to a thousand times its size."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        if sum(i.file_size for i in package.infolist()) > MOST_UNPACKED_BYTES:
            raise Unreadable("too_large")


def _pdf(content: bytes) -> Converted:
    import pypdf

    # Without the reader in between pypdf asks for a buffer that may be written, which copies the whole file.
    reader = pypdf.PdfReader(io.BufferedReader(io.BytesIO(content)))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("encrypted")
    if len(reader.pages) > MOST_PAGES:
        raise Unreadable("too_large")
    pages, with_text, pictures = [], 0, []
    for number, page in enumerate(reader.pages, 1):
        text = _paragraphs(page.extract_text() or "")
        if len(text.strip()) > 15:
            with_text += 1
        elif _shows_picture(page):
            pictures.append(number)
        pages.append(f"\f{number}\n\n{text}")
        if number % PAGES_AT_ONCE == 0:
            reader.resolved_objects.clear()  # pictures that a page shows would all stay
    if not with_text:
        raise Unreadable("scanned" if reader.pages else "empty")
    title = str(reader.metadata.title or "") if reader.metadata is not None else ""
    return Converted("\n\n".join(pages), title, tuple(pictures))


def _shows_picture(page: Any) -> bool:
    """Whether a page has an image at all; an empty page is no scan."""
    try:
        shown = page["/Resources"].get_object()["/XObject"].get_object()
        return any(o.get_object().get("/Subtype") == "/Image" for o in shown.values())
    except (AttributeError, KeyError, TypeError):
        return False


def _paragraphs(text: str) -> str:
    """Lines of a printed page joined again: a line that ends in the middle of a sentence goes on in the next one."""
    text = _BROKEN_WORD.sub(r"\1\2", text.replace("\r", ""))
    out: list[str] = []
    for line in (raw.strip() for raw in text.split("\n")):
        if not line:
            out.append("")
        elif out and out[-1] and not out[-1].endswith((".", "!", "?", ":", ";")) and line[:1].islower():
            out[-1] += " " + line
        else:
            out.append(line)
    return "\n".join(line.replace("#", "\\#", 1) if line.startswith("#") else line for line in out)


def _docx(content: bytes) -> Converted:
    import docx
    from docx.table import Table

    document = docx.Document(io.BytesIO(content))
    blocks: list[str] = []
    for item in document.iter_inner_content():
        if isinstance(item, Table):
            blocks.append(table([[cell.text for cell in row.cells] for row in item.rows]))
            continue
        text = item.text.strip()
        style = (item.style.name if item.style is not None else "") or ""
        if not text:
            continue
        if style == "Title":
            blocks.append(f"# {_one_line(text)}")
        elif style.startswith("Heading") and style[-1:].isdigit():
            blocks.append(f"{'#' * min(6, int(style[-1]))} {_one_line(text)}")
        elif style.startswith("List"):
            blocks.append(f"- {_one_line(text)}")
        else:
            blocks.append(text)
    return Converted(_joined(blocks), document.core_properties.title or "")


def _joined(blocks: Iterable[str]) -> str:
    """Neighbouring items of a list stay one list."""
    out: list[str] = []
    for block in blocks:
        is_next_item = block.startswith("- ") and bool(out) and out[-1].split("\n")[-1].startswith("- ")
        if is_next_item:
            out[-1] += "\n" + block
        else:
            out.append(block)
    return "\n\n".join(out)


def _xlsx(content: bytes) -> Converted:
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    blocks, left = [], MOST_ROWS
    try:
        for sheet in book.worksheets:
            rows: list[list[str]] = []
            for row in sheet.iter_rows(values_only=True):
                cells = ["" if v is None else str(v) for v in row]
                while cells and not cells[-1]:
                    cells.pop()
                if cells:
                    rows.append(cells)
                    left -= 1
                if left < 0:
                    raise Unreadable("too_large")
            if rows:
                blocks.append(f"## {_one_line(sheet.title)}\n\n{table(rows)}")
    finally:
        book.close()
    return Converted("\n\n".join(blocks), str(book.properties.title or ""))


def _pptx(content: bytes) -> Converted:
    import pptx

    deck = pptx.Presentation(io.BytesIO(content))
    blocks: list[str] = []
    for number, slide in enumerate(deck.slides, 1):
        heading = slide.shapes.title
        blocks.append(f"\f{number}")
        if heading is not None and heading.has_text_frame and heading.text_frame.text.strip():
            blocks.append(f"## {_one_line(heading.text_frame.text)}")
        blocks.extend(_shapes(slide.shapes, heading))
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = slide.notes_slide.notes_text_frame.text.strip()
            if notes:
                blocks.append(notes)
    return Converted("\n\n".join(blocks), deck.core_properties.title or "")


def _shapes(shapes: Any, heading: Any) -> Iterator[str]:
    for shape in shapes:
        if heading is not None and shape.shape_id == heading.shape_id:
            continue
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes, heading)
        elif getattr(shape, "has_table", False):
            yield table([[cell.text for cell in row.cells] for row in shape.table.rows])
        elif shape.has_text_frame and (text := shape.text_frame.text.strip()):
            yield text.replace("\v", "\n")


def _csv(content: bytes) -> Converted:
    text = _text(content)
    try:
        dialect: Any = csv.Sniffer().sniff(text[:8000], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    csv.field_size_limit(1_000_000)
    rows: list[list[str]] = []
    for row in csv.reader(io.StringIO(text), dialect):
        if len(rows) > MOST_ROWS:
            raise Unreadable("too_large")
        if any(cell.strip() for cell in row):
            rows.append(row)
    return Converted(table(rows))


def _html(content: bytes) -> Converted:
    head = content[:2048].lower()
    found = re.search(rb"charset=[\"']?([a-z0-9_-]+)", head)
    if found is not None:
        try:
            return Converted(*html_to_markdown(content.decode(found[1].decode("ascii"), "replace")))
        except LookupError:
            pass
    return Converted(*html_to_markdown(_text(content)))


def _markdown(content: bytes) -> Converted:
    text = _FRONT_MATTER.sub("", _text(content).replace("\r\n", "\n"))
    return Converted(text.replace("\f", "\n"))


def _plain(content: bytes) -> Converted:
    text = _text(content).replace("\f", "\n")
    return Converted("\n".join("\\" + line if line.startswith("#") else line for line in text.split("\n")))


def _text(content: bytes) -> str:
    text = decoded(content)
    if text is None:
        raise Unreadable("wrong_type")
    return text


def table(rows: list[list[str]]) -> str:
    """Rows as a Markdown table whose head is the first row; of merged cells one is kept."""
    width = max((len(r) for r in rows), default=0)
    lines = []
    for row in rows:
        cells = [_one_line(c).replace("|", "\\|") for c in [*row, *[""] * (width - len(row))]]
        lines.append("| " + " | ".join(cells) + " |")
    if len(lines) > 1:
        lines.insert(1, "|" + "---|" * width)
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())


_READERS: Final[dict[str, Callable[[bytes], Converted]]] = {
    "pdf": _pdf, "docx": _docx, "xlsx": _xlsx, "pptx": _pptx, "csv": _csv, "html": _html, "md": _markdown, "txt": _plain,
}  # fmt: skip
EXTENSIONS: Final = (*_READERS,)
