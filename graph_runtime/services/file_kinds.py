"""What a file really is, by its first bytes; what the sender calls it decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file that is accepted. `inline`: browsers may show it on our own pages."""

    mime: str
    extension: str
    media: str = "document"
    inline: bool = False


_IMAGE: Final = {
    b"\x89PNG\r\n\x1a\n": FileKind("image/png", "png", "image", inline=True),
    b"\xff\xd8\xff": FileKind("image/jpeg", "jpg", "image", inline=True),
    b"GIF87a": FileKind("image/gif", "gif", "image", inline=True),
    b"GIF89a": FileKind("image/gif", "gif", "image", inline=True),
}
_PLAIN: Final = {
    b"%PDF-": FileKind("application/pdf", "pdf"),
    b"OggS": FileKind("audio/ogg", "ogg", "audio", inline=True),
    b"ID3": FileKind("audio/mpeg", "mp3", "audio", inline=True),
    b"\xff\xfb": FileKind("audio/mpeg", "mp3", "audio", inline=True),
    b"\xff\xf3": FileKind("audio/mpeg", "mp3", "audio", inline=True),
    b"\x1a\x45\xdf\xa3": FileKind("video/webm", "webm", "video", inline=True),
    b"PK\x03\x04": FileKind("application/zip", "zip"),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": FileKind("application/msword", "doc"),
}
_OFFICE: Final = {
    b"word/": FileKind("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    b"xl/": FileKind("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    b"ppt/": FileKind("application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"),
}
_MARKUP: Final = (b"<!doctype", b"<html", b"<svg", b"<?xml", b"<script", b"<head", b"<body")
TEXT: Final = FileKind("text/plain", "txt")


def kind_of(content: bytes) -> FileKind | None:
    """The kind, or None for what is not accepted (programs, pages, scripts, SVG, anything unknown)."""
    for signature, kind in (_IMAGE | _PLAIN).items():
        if content.startswith(signature):
            return _inside_zip(content) if kind.extension == "zip" else kind
    if content[:4] == b"RIFF":
        return {
            b"WEBP": FileKind("image/webp", "webp", "image", inline=True),
            b"WAVE": FileKind("audio/wav", "wav", "audio", inline=True),
        }.get(content[8:12])
    if content[4:8] == b"ftyp":
        return _media_container(content[8:12])
    return TEXT if _is_plain_text(content) else None


def _inside_zip(content: bytes) -> FileKind | None:
    """Only office documents: an archive hides what is in it."""
    return next(
        (kind for folder, kind in _OFFICE.items() if folder in content[:4000] or folder in content[-8000:]), None
    )


def _media_container(brand: bytes) -> FileKind:
    if brand.startswith(b"M4A"):
        return FileKind("audio/mp4", "m4a", "audio", inline=True)
    if brand in (b"heic", b"heix", b"mif1"):
        return FileKind("image/heic", "heic", "image")
    return FileKind("video/mp4", "mp4", "video", inline=True)


def _is_plain_text(content: bytes) -> bool:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    is_printable = all(c.isprintable() or c in "\n\r\t\f\ufeff" for c in text[:20_000])
    return is_printable and not content.lstrip().lower().startswith((*_MARKUP, b"#!"))


def media_of(mime: str) -> str:
    """ "image", "audio", "video", or "document" for everything else."""
    media = mime.partition("/")[0]
    return media if media in ("image", "audio", "video") else "document"


def extension_of(mime: str, media: str) -> str:
    """What a file's name may end with, before its content is here."""
    known = {kind.mime: kind.extension for kind in (*_IMAGE.values(), *_PLAIN.values(), *_OFFICE.values(), TEXT)}
    usual = {"image": "jpg", "audio": "ogg", "video": "mp4"}
    return {**known, "video/mp4": "mp4", "audio/mp4": "m4a", "image/webp": "webp"}.get(mime, usual.get(media, "bin"))
