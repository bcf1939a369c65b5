"""What is said in a conversation, independent of channel: parts the agent sends, replies the contact gives."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from graph_runtime.contract.calls import Heard
from graph_runtime.contract.people import PersonDid


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Spoken(_Wire):
    """How a part is spoken on a call; other channels ignore it. `voice` "": the line's. `rate`: 1.0 is usual speed.
    `language` "": the conversation's.

    `may_cache`: it is the same for every caller.
    """

    voice: str = ""
    language: str = ""
    rate: float = Field(1.0, ge=0.5, le=2.0)
    is_interruptible: bool = True
    may_cache: bool = False


class Source(_Wire):
    """Where an answer comes from. `number`: as the answer cites it, "[1]". `url`, `text`: the document and the passage
    itself, only when clients may open them; else "". `page` 0: none. `document_id`: for members."""

    number: int
    title: str
    heading: str = ""
    page: int = 0
    url: str = ""
    text: str = ""
    document_id: str = ""


class Text(_Wire):
    """Plain or lightly marked-up text (`**bold**`, `*italic*`, `[label](url)`, lists).

    `typing_ms`: a live channel shows that somebody is typing for this long before the text; others ignore it.
    `wants`: it asks for something that a channel may offer to share with one press. `sources`: what it is based on; a
    channel that cannot show them gets them as lines below the text, and nobody hears them on a call.
    """

    kind: Literal["text"] = "text"
    text: str
    typing_ms: int = Field(0, ge=0, le=10_000)
    spoken: Spoken | None = None
    wants: Literal["phone", "location"] | None = None
    sources: tuple[Source, ...] | None = None


class Option(_Wire):
    """One button. `id` is stable, `label` is what the person sees."""

    id: str
    label: str


class Choices(_Wire):
    """A question with buttons; channels without buttons show a numbered list."""

    kind: Literal["choices"] = "choices"
    text: str
    options: tuple[Option, ...]


class Media(_Wire):
    """A picture, sound, video or document, by public URL or by the id of a stored file."""

    kind: Literal["media"] = "media"
    media: Literal["image", "audio", "video", "document"] = "image"
    url: str = ""
    file_id: str = ""
    name: str = ""
    caption: str = ""
    spoken: Spoken | None = None


Part = Annotated[Text | Choices | Media, Field(discriminator="kind")]


class Attachment(_Wire):
    """A file the contact sent, stored by us. `size` in bytes."""

    file_id: str
    name: str
    mime: str
    size: int


class Reply(_Wire):
    """What the contact sent. `option_id` when a button was pressed; `text` is then its label. `heard`: on a call, how.

    `person`: it was not the contact but a member of the workspace who did something.
    """

    text: str = ""
    option_id: str = ""
    attachments: tuple[Attachment, ...] = ()
    language: str = ""
    at: datetime | None = None
    heard: Heard | None = None
    person: PersonDid | None = None


class SaidMessage(_Wire):
    """One line of a transcript as steps see it (`ctx.history`)."""

    role: Literal["contact", "agent", "member"]
    text: str


def plain_text(part: Part) -> str:
    """The words of a part, without buttons or media."""
    if isinstance(part, Media):
        return part.caption
    return part.text


def source_lines(sources: Iterable[Source]) -> str:
    """A line for each document: the numbers of its passages, its title, and the address that can be opened."""
    lines: dict[tuple[str, str], list[str]] = {}
    for s in sources:
        lines.setdefault((s.title, s.url), []).append(f"[{s.number}]")
    return "\n".join(f"{''.join(numbers)} {title} {url}".strip() for (title, url), numbers in lines.items())


def dump_part(part: Part) -> dict[str, Any]:
    """JSON form of a part, as stored and sent."""
    return part.model_dump(mode="json", exclude_none=True)
