"""What the agent says on a call, as events: streamed words first, then whatever the committed message has besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from graph_runtime.contract.calls import CallEvent, Drop, LineSettings, MessageEnds, Sound, Voice, WaitBegins, Words
from graph_runtime.contract.messages import Choices, Media, Part, Spoken, Text
from graph_runtime.contract.speakable import SpeakableStream, speakable, spoken_choices
from graph_runtime.services.live import LiveEvent

_PART: TypeAdapter[Text | Choices | Media] = TypeAdapter(Part)


@dataclass(slots=True)
class _Open:
    """A message that is being streamed: its text as it was written, and the same made speakable."""

    stream: SpeakableStream
    written: str = ""


@dataclass(slots=True)
class Speaking:
    """Everything said on one attached call. A message is passed on once, however often its turn is run."""

    language: str
    line: LineSettings
    seq: int = 0
    """Of the last message of the transcript that was seen."""
    said: dict[str, str] = field(default_factory=dict)
    _open: dict[str, _Open] = field(default_factory=dict)

    def events(self, event: LiveEvent) -> Iterator[CallEvent]:
        """What a live event means for the call."""
        kind = event["type"]
        self.language = event.get("language") or self.language
        if kind == "delta":
            yield from self._delta(event)
        elif kind == "reset":
            for key in [event["key"]] if event["key"] else [*self._open]:
                if self._open.pop(key, None) is not None:
                    yield Drop(key)
        elif kind == "wait":
            yield WaitBegins(speakable(event["filler"], self.language) if event["filler"] else event["filler"])
        elif kind == "said":
            yield from self._message(event["key"], event["node_id"], event["parts"])
        elif kind == "message":
            message = event["message"]
            self.seq = max(self.seq, message["seq"])
            flags = message.get("flags") or {}
            self.language = flags.get("language") or self.language
            if message["role"] == "agent" and not flags.keys() & {"interrupted", "unheard"}:
                yield from self._message(message["key"], message["node_id"], message["parts"])

    def again(self, row: Mapping[str, Any], key: str) -> Iterator[CallEvent]:
        """Say a message of the transcript once more, whole even if it was interrupted."""
        parts = row["parts"]
        whole = (row.get("flags") or {}).get("whole")
        if whole and parts:
            parts = [parts[0] | {"text": whole}, *parts[1:]]
        yield from self._parts(key, row["node_id"], parts, None)
        yield MessageEnds(key)

    def voice(self, spoken: Spoken | None = None) -> Voice:
        """How something is spoken on this line."""
        spoken = spoken or Spoken()
        language = spoken.language or self.language
        name = spoken.voice or self.line.voices.get(language, "")
        return Voice(language, name, round(self.line.rate * spoken.rate, 3))

    def _delta(self, event: LiveEvent) -> Iterator[CallEvent]:
        key = event["key"]
        if key in self.said:
            return
        opened = self._open.setdefault(key, _Open(SpeakableStream(self.language)))
        opened.written += event["text"]
        words = opened.stream.feed(event["text"])
        if words:
            yield Words(key, words, event.get("node_id", ""), self.voice())

    def _message(self, key: str, node_id: str, parts: list[dict[str, Any]]) -> Iterator[CallEvent]:
        text = "\n".join(str(p.get("text") or p.get("caption") or "") for p in parts)
        if self.said.get(key) == text:
            return
        self.said[key] = text
        yield from self._parts(key, node_id, parts, self._open.pop(key, None))
        yield MessageEnds(key)

    def _parts(self, key: str, node_id: str, parts: list[dict[str, Any]], opened: _Open | None) -> Iterator[CallEvent]:
        for data in parts:
            part = _PART.validate_python(data)
            if isinstance(part, Text):
                yield from self._text(key, node_id, part, opened)
                opened = None
            elif isinstance(part, Choices):
                yield Words(key, spoken_choices(part.text, part.options, self.language) + " ", node_id, self.voice())
            elif part.media == "audio":
                yield Sound(
                    key, node_id, self.voice(part.spoken), part.url, part.file_id,
                    speakable(part.caption, self.voice(part.spoken).language),
                    is_interruptible=part.spoken is None or part.spoken.is_interruptible,
                )  # fmt: skip
            elif part.caption:
                yield Words(key, speakable(part.caption, self.language) + " ", node_id, self.voice())

    def _text(self, key: str, node_id: str, part: Text, opened: _Open | None) -> Iterator[CallEvent]:
        spoken = part.spoken or Spoken()
        voice = self.voice(part.spoken)
        if opened is not None:
            began = opened.written.strip()
            if part.text.strip().startswith(began):
                rest = opened.stream.feed(part.text.strip()[len(began) :]) + opened.stream.end()
                if rest.strip():
                    yield Words(key, rest + " ", node_id, voice, spoken.is_interruptible, spoken.may_cache)
                return
            yield Drop(key)
        words = speakable(part.text, voice.language)
        if words:
            yield Words(key, words + " ", node_id, voice, spoken.is_interruptible, spoken.may_cache)
