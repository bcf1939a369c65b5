"""Contacts as rows of a CSV file: reading what people save, matching columns, one row's values, writing safely. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graph_runtime.contract.errors import InputInvalid
from graph_runtime.services.contact_values import STANDARD, ContactField, check_fields, check_standard

MOST_BYTES: Final = 50_000_000
MOST_ROWS: Final = 200_000
MOST_COLUMNS: Final = 200
SKIP: Final = ""
_DELIMITERS: Final = (",", ";", "\t")
_RISKY: Final = re.compile(r"^[=+\-@\t\r]")
_PHONE: Final = re.compile(r"^\+\d{6,15}$")
_NUMBER: Final = re.compile(r"^-?\d+([.,]\d+)?$")
_NAMES: Final = {
    "name": ("name", "full name", "имя", "фио", "ім'я", "ім’я", "піб", "клиент", "клієнт"),
    "phone": ("phone", "phone number", "mobile", "tel", "телефон", "номер телефона", "номер телефону", "моб"),
    "email": ("email", "e-mail", "mail", "почта", "эл. почта", "пошта", "ел. пошта"),
    "tags": ("tags", "labels", "теги", "метки", "мітки"),
    "language": ("language", "язык", "мова"),
    "time_zone": ("time zone", "timezone", "часовой пояс", "часовий пояс"),
    "country": ("country", "страна", "країна"),
}  # fmt: skip
csv.field_size_limit(131_072)


@dataclass(frozen=True, slots=True)
class Table:
    """A file as it was read: names of its columns and a way through its rows."""

    columns: tuple[str, ...]
    text: str
    delimiter: str

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Rows after the first one, with their place in the file as a spreadsheet counts; empty ones are left out."""
        reader = csv.reader(io.StringIO(self.text), delimiter=self.delimiter)
        next(reader, None)
        for place, row in enumerate(reader, 2):
            if any(cell.strip() for cell in row):
                yield place, row


def read_table(content: bytes) -> Table:
    """Read a file in UTF-8, UTF-16 or Windows-1251, separated by commas, semicolons or tabs.

    Raises: InputInvalid with what to do.
    """
    if len(content) > MOST_BYTES:
        raise InputInvalid("The file is larger than 50 MB. Split it.", field="file")
    text = _decoded(content)
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        columns = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
        count = sum(1 for _ in csv.reader(io.StringIO(text), delimiter=delimiter)) - 1
    except csv.Error:
        raise InputInvalid("This is no CSV file. Save the table as CSV and try again.", field="file") from None
    names = tuple(c.strip() for c in columns)
    if not any(names) or count < 1:
        raise InputInvalid("The file has no rows below its first line, which names the columns.", field="file")
    if len(names) > MOST_COLUMNS or count > MOST_ROWS:
        raise InputInvalid(f"At most {MOST_ROWS} rows and {MOST_COLUMNS} columns. Split the file.", field="file")
    return Table(names, text, delimiter)


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1251", "replace")
    if "\0" in text:
        raise InputInvalid("This is no text. Save the table as CSV and try again.", field="file")
    return text


def guess_mapping(columns: Iterable[str], fields: Iterable[ContactField]) -> list[str]:
    """For each column the key that its name suggests, each key once; "" where none does."""
    names = {n: key for key, all_names in _NAMES.items() for n in (*all_names, key)}
    for field in fields:
        names |= {field.label.casefold(): field.key, field.key: field.key}
    guessed: list[str] = []
    for column in columns:
        key = names.get(column.strip().casefold(), SKIP)
        guessed.append(SKIP if key in guessed else key)
    return guessed


def check_mapping(mapping: Sequence[str], columns: Sequence[str], fields: Iterable[ContactField]) -> list[str]:
    """Keys by column, "" for columns that are left out. Raises: InputInvalid."""
    known = {*STANDARD, *(f.key for f in fields)}
    used = [m for m in mapping if m]
    if len(mapping) != len(columns) or not set(used) <= known:
        raise InputInvalid("Choose for each column of the file what it is, or leave it out.", field="mapping")
    if len(used) != len(set(used)):
        raise InputInvalid("Two columns are the same value. Leave one of them out.", field="mapping")
    if not {"name", "phone", "email"} & set(used):
        raise InputInvalid("Say which column is the name, the phone number or the e-mail address.", field="mapping")
    return list(mapping)


def row_values(row: Sequence[str], mapping: Sequence[str], fields: Sequence[ContactField]) -> dict[str, Any]:
    """Columns of a contact out of one row; empty cells say nothing.

    Raises: InputInvalid, whose `field` is the key that is wrong.
    """
    cells = {key: unprotected(cell).strip() for key, cell in zip(mapping, row, strict=False) if key}
    cells = {key: value for key, value in cells.items() if value}
    standard = {k: v for k, v in cells.items() if k in STANDARD}
    if "phone" in standard and standard["phone"][0].isdigit() and len(re.sub(r"\D", "", standard["phone"])) >= 10:
        # Spreadsheets lose the plus of a number; with its country's code it can be found again.
        standard["phone"] = "+" + standard["phone"].removeprefix("00")
    if "language" in standard:
        standard["language"] = standard["language"].casefold()[:2]
    values = check_standard(standard)
    own = {k: v for k, v in cells.items() if k not in STANDARD}
    if own:
        values["fields"] = check_fields(own, fields)
    if not any(values.get(k) for k in ("name", "phone", "email")):
        raise InputInvalid("There is no name, phone number or e-mail address in this row.", field="name")
    return values


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """Some rows of a file, checked: (place in the file, columns) of the good ones, (place, problem) of the broken."""

    count: int
    good: list[tuple[int, dict[str, Any]]]
    broken: list[tuple[int, dict[str, str]]]


def check_rows(
    rows: Sequence[tuple[int, Sequence[str]]], mapping: Sequence[str], fields: Sequence[ContactField]
) -> CheckedRows:  # fmt: skip
    """Each row by itself, with its place in the file."""
    checked = CheckedRows(len(rows), [], [])
    for place, row in rows:
        try:
            checked.good.append((place, row_values(row, mapping, fields)))
        except InputInvalid as error:
            checked.broken.append((place, {"field": str(error.field or ""), "message": error.message}))
    return checked


def protected(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = "" if value is None else "yes" if value is True else "no" if value is False else str(value)
    if isinstance(value, list | tuple):
        text = ", ".join(map(str, value))
    is_harmless = not _RISKY.match(text) or _PHONE.match(text) or _NUMBER.match(text)
    return text if is_harmless else "'" + text


def unprotected(cell: str) -> str:
    """What `protected` was given."""
    return cell[1:] if cell.startswith("'") and _RISKY.match(cell[1:]) else cell


def csv_lines(contacts: Iterable[Mapping[str, Any]], fields: Sequence[ContactField]) -> str:
    """Rows for a CSV file, without the first line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for contact in contacts:
        own = [contact["fields"].get(f.key) for f in fields]
        opted_out = contact["opted_out_at"].isoformat(timespec="seconds") if contact["opted_out_at"] else ""
        values = [*(contact[key] for key in STANDARD), *own, opted_out, contact["id"]]
        writer.writerow([protected(v) for v in values])
    return out.getvalue()


def csv_head(fields: Sequence[ContactField]) -> str:
    """The first line, after the mark by which spreadsheets know UTF-8."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(
        [*STANDARD, *(protected(f.label) for f in fields), "opted_out_at", "id"]
    )
    return "\ufeff" + out.getvalue()
