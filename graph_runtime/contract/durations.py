"""Durations as ISO 8601 text, such as "PT24H" or "P3DT12H"; no months and years: their length varies."""

from __future__ import annotations

import re

DURATION_PATTERN = r"^$|^P(\d{1,4}W)?(\d{1,4}D)?(T(\d{1,5}H)?(\d{1,6}M)?(\d{1,7}S)?)?$"
_PARTS = re.compile(DURATION_PATTERN)
_SECONDS = (604_800, 86_400, 3_600, 60, 1)


def duration_seconds(text: str) -> float | None:
    """Seconds of a duration; None when it is empty, zero or not a duration."""
    match = _PARTS.match(text.strip())
    if match is None or not text.strip():
        return None
    groups = (match[1], match[2], match[4], match[5], match[6])
    total = sum(int(g[:-1]) * s for g, s in zip(groups, _SECONDS, strict=True) if g)
    return float(total) or None
