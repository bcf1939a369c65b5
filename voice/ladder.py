"""What is said while an answer is awaited, and when: pure decisions, no clock and no voice."""

from __future__ import annotations

from dataclasses import dataclass, field

from voice.texts import AFTER_SECONDS, Bridge

HELD_SECONDS = 10.0
"""While a flow waits for time with the caller on the line, "one moment" is said again after so long."""


@dataclass(slots=True)
class Ladder:
    """One wait. Times are seconds of whatever clock the caller of `look` uses.

    `filler`: what the first rung says, "" as usual, None nothing. `is_held`: the flow waits on purpose.
    """

    quiet_since: float
    filler: str | None = ""
    is_held: bool = False
    _rungs: list[Bridge] = field(default_factory=lambda: list(Bridge))

    def look(self, now: float, *, is_answering: bool, is_bridging: bool) -> Bridge | None:
        """The rung to say now. `is_answering`: a message is being spoken, so that the next silence is a new one."""
        if is_answering:
            self.quiet_since, self._rungs = now, list(Bridge)
            return None
        quiet = now - self.quiet_since
        if is_bridging:
            return None
        if self.is_held:
            return self._held(now, quiet)
        if not self._rungs or quiet < AFTER_SECONDS[self._rungs[0]]:
            return None
        rung = self._rungs.pop(0)
        return None if rung is Bridge.FILLER and self.filler is None else rung

    def _held(self, now: float, quiet: float) -> Bridge | None:
        if quiet < HELD_SECONDS:
            return None
        self.quiet_since = now
        return Bridge.ONE_MOMENT
