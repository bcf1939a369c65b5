"""The decoding process: a sound that a stranger sent is opened here, with limits and without any secret.

`python -m graph_runtime.services.sound_decoder FORMAT RATE SECONDS`: the file on standard input becomes 16-bit mono samples on
standard output, at most so many seconds of them. What cannot be read, or has pictures that move, ends with code 1.
"""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Final

MEMORY_BYTES: Final = 1_500_000_000
PROCESSOR_SECONDS: Final = 60


def main(container: str, rate: int, seconds: int) -> None:
    """Decode."""
    _limit()
    import av
    from av.audio.resampler import AudioResampler
    from av.stream import Disposition

    left = rate * seconds * 2
    # Nothing else than these bytes may be opened, whatever the file refers to.
    options = {"protocol_whitelist": "", "enable_drefs": "0"}
    with av.open(io.BytesIO(sys.stdin.buffer.read()), "r", format=container, options=options) as file:
        if any(not s.disposition & Disposition.attached_pic for s in file.streams.video):
            raise ValueError("a film is no voice message")
        resampler = AudioResampler(format="s16", layout="mono", rate=rate)
        for frame in file.decode(audio=0):
            for piece in resampler.resample(frame):
                pcm = bytes(piece.planes[0])[: min(piece.samples * 2, left)]
                left -= len(pcm)
                sys.stdout.buffer.write(pcm)
            if left <= 0:
                break
    sys.stdout.buffer.flush()


def _limit() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    except Exception:  # noqa: BLE001  # a library's words about a stranger's file help nobody
        sys.exit(1)
