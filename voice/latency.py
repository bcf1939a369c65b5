"""Where the time of a turn went, stamped at the wire: from the caller's last word to the first frame of the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Stamp(StrEnum):
    """The moments of a turn, in their usual order."""

    SPEECH_ENDED = "speech_ended"
    SOFT_END = "soft_end"
    HARD_END = "hard_end"
    FINAL_TEXT = "final_text"
    FIRST_TOKEN = "first_token"  # noqa: S105 (a token of a model)
    FIRST_SENTENCE = "first_sentence"
    FIRST_AUDIO = "first_audio"
    FIRST_FRAME = "first_frame"
    """Written to the line."""


@dataclass(slots=True)
class TurnLatency:
    """One turn. Moments are monotonic seconds; of each kind only the first counts, but a soft end is as good as its last."""

    moments: dict[Stamp, float] = field(default_factory=dict)
    covered: bool = False
    """Whether a filler was said while the caller waited."""

    def stamp(self, kind: Stamp, at: float) -> None:
        """Note a moment."""
        if kind in (Stamp.SPEECH_ENDED, Stamp.SOFT_END):
            self.moments[kind] = at
        else:
            self.moments.setdefault(kind, at)

    def went_on(self) -> None:
        """The caller was not done: what was stamped since is void."""
        self.moments.clear()

    @property
    def response_ms(self) -> float | None:
        """End of speech to first frame, once both happened."""
        first, ended = self.moments.get(Stamp.FIRST_FRAME), self.moments.get(Stamp.SPEECH_ENDED)
        return None if first is None or ended is None else (first - ended) * 1000

    def as_milliseconds(self) -> dict[str, float]:
        """Every stamp, counted from the end of speech (or from the first stamp when there was no speech)."""
        if not self.moments:
            return {}
        zero = self.moments.get(Stamp.SPEECH_ENDED, min(self.moments.values()))
        return {kind.value: round((self.moments[kind] - zero) * 1000, 1) for kind in Stamp if kind in self.moments}
