"""Where the time went between a caller's last word and the agent's first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class StageItem:
    """A stretch of the wait for a spoken answer: `ms` long, drawn from `left` to `left` + `width` percent."""

    key: str
    ms: int
    left: float
    width: float


_STAGES: Final = (
    ("pause", "hard_end"), ("understood", "final_text"), ("thought", "first_token"), ("sentence", "first_sentence"),
    ("voiced", "first_audio"), ("sent", "first_frame"),
)  # fmt: skip
"""What goes on until each stamp of a turn (`TurnTimes`)."""


def stages_of(times: Mapping[str, Any]) -> list[StageItem]:
    """From the caller's last word to the agent's first, in order; none where the call did not come to that."""
    whole = float(times.get("first_frame") or 0)
    if whole <= 0:
        return []
    found, at = [], 0.0
    for key, stamp in _STAGES:
        until = min(float(times[stamp]), whole) if times.get(stamp) is not None else at
        if until - at >= 1:
            found.append(
                StageItem(key, round(until - at), round(at / whole * 100, 2), round((until - at) / whole * 100, 2))
            )
            at = until
    return found
