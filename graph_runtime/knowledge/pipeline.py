"""The Haystack pipeline of reading: a file becomes Markdown, Markdown becomes passages. Loaded by the reading process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

# Before the import: nothing is told to anybody.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack import Document, Pipeline, component
from haystack.dataclasses import ByteStream

from graph_runtime.knowledge.conversion import Unreadable, convert, kind_by_content
from graph_runtime.knowledge.splitting import Passage, split
from graph_runtime.knowledge.words import language_of

MOST_PASSAGES: Final = 20_000


@component
class ToMarkdown:
    """One source → one document of Markdown; `meta`: title, language and pages that are pictures without text."""

    @component.output_types(documents=list[Document])
    def run(self, source: ByteStream) -> dict[str, list[Document]]:
        """Raises: Unreadable."""
        name = str(source.meta.get("name") or "")
        converted = convert(source.data, str(source.meta.get("extension") or kind_by_content(source.data, name)))
        language = language_of(converted.markdown)
        meta = {"title": " ".join(converted.title.split())[:300], "language": language, "pictures": converted.pictures}
        return {"documents": [Document(content=converted.markdown, meta=meta)]}


@component
class SplitByStructure:
    """Documents of Markdown → one document per passage; `meta`: heading and page besides what the source had."""

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Raises: Unreadable when there are too many passages, or none."""
        passages: list[Document] = []
        for document in documents:
            for passage in islice(split(document.content or ""), MOST_PASSAGES + 1):
                meta = document.meta | {"heading": passage.heading, "page": passage.page, "place": len(passages)}
                passages.append(Document(content=passage.text, meta=meta))
        if len(passages) > MOST_PASSAGES:
            raise Unreadable("too_large")
        if not passages:
            raise Unreadable("empty")
        return {"documents": passages}


def reading() -> Pipeline:
    """Converter and splitter, joined. Give the converter a `source`."""
    pipeline = Pipeline()
    pipeline.add_component("to_markdown", ToMarkdown())
    pipeline.add_component("split", SplitByStructure())
    pipeline.connect("to_markdown.documents", "split.documents")
    return pipeline


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What a file says. `pictures`: pages that are pictures without text."""

    title: str
    language: str
    passages: tuple[Passage, ...]
    pictures: tuple[int, ...] = ()


class FileReader:
    """Reads one file after the other through one pipeline."""

    def __init__(self) -> None:
        self._pipeline = reading()

    def read(self, content: bytes, name: str, extension: str = "") -> ReadFile:
        """Raises: Unreadable."""
        source = ByteStream(data=content, meta={"name": name, "extension": extension})
        try:
            found = self._pipeline.run({"to_markdown": {"source": source}})["split"]["documents"]
        except Unreadable:
            raise
        except Exception as error:
            for cause in _causes(error):
                if isinstance(cause, Unreadable):
                    raise cause from None
            raise
        passages = tuple(Passage(d.content or "", d.meta["heading"], d.meta["page"]) for d in found)
        about = found[0].meta
        return ReadFile(about["title"], about["language"], passages, tuple(about["pictures"]))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """A pipeline wraps what its components raise."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
