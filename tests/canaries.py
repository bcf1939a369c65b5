"""Credentials as tests enter them, and the search for them wherever they must not be.

What is entered as a credential anywhere in the tests holds one of `MARKS`. After a test session the files of its database
are searched: tables, also of rows that were deleted, and the write-ahead log, whatever tables there are.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

CANARY = "CANARY7f3a"
MARKS = (
    CANARY,
    "kommo-canary-",  # tokens that the fake Kommo grants
    "long-lived-token-of-kommo",
    "shop-secret",  # of the fake Kommo's integration
    "AAFakeTokenForTestsOnly",  # bots of the fake Telegram
    "sk-canary-0123456789",
    "sk-canary-4711-never-shown",
)


def forms(mark: str) -> Iterator[bytes]:
    """How a mark may stand somewhere: as it is, as hexadecimal digits, inside base64 at any offset."""
    raw = mark.encode()
    yield raw
    yield raw.hex().encode()
    for offset in range(3):
        # The first and last signs of base64 depend on the neighbors; those between do not.
        yield base64.b64encode(b"\0" * offset + raw)[4 if offset else 0 :].rstrip(b"=")[:-2]


def found_in(data: bytes | str, marks: Iterable[str] = MARKS) -> list[str]:
    """The marks that stand in it in one of their forms."""
    content = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return [mark for mark in marks if any(form in content for form in forms(mark))]


def found_below(folder: Path) -> list[str]:
    """ "mark in file" of every file of a folder and its folders."""
    return [
        f"{mark} in {path.relative_to(folder)}"
        for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()
        for mark in found_in(path.read_bytes())
    ]  # fmt: skip
