"""The helper process that speaks with espeak-ng (GPL-3); the only module that loads it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from connectors._processes.inside import Job, Misfit, Work, serve
from connectors.offline_speech.texts import NO_VOICE, NOT_INSTALLED

_SYNCHRONOUS, _UTF8, _RATE, _DONT_EXIT = 2, 1, 1, 0x8000
_NORMAL_SPEED = 175  # words a minute
_BUFFER_MS = 60
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Espeak:
    def __init__(self) -> None:
        try:
            import espeakng_loader

            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
            data = espeakng_loader.get_data_path().encode()
        except (ImportError, OSError, RuntimeError):
            raise Misfit(NOT_INSTALLED) from None
        self.rate = self._library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data, _DONT_EXIT)
        if self.rate <= 0:
            raise Misfit(NOT_INSTALLED)
        self._take: Callable[[bytes], bool] = lambda _: False
        self._callback = _Callback(self._hand_over)
        self._library.espeak_SetSynthCallback(self._callback)

    def _hand_over(self, samples: Any, count: int, _events: Any) -> int:
        if not samples or count <= 0:
            return 0
        return 0 if self._take(ctypes.string_at(samples, count * 2)) else 1

    def speak(self, text: str, voice: str, speed: float, take: Callable[[bytes], bool]) -> None:
        """`take` is called with each piece and says whether to go on."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise Misfit(NO_VOICE)
        self._library.espeak_SetParameter(_RATE, round(_NORMAL_SPEED * min(2.0, max(0.5, speed))), 0)
        self._take = take
        raw = text.replace("\0", " ").encode("utf-8", "replace") + b"\0"
        self._library.espeak_Synth(raw, len(raw), 0, 0, 0, _UTF8, None, None)


def load(_setup: dict[str, Any]) -> Work:
    """Raises: Misfit without the extra."""
    espeak = _Espeak()

    def work(job: Job, answer: Any) -> None:
        def take(pcm: bytes) -> bool:
            if not job.is_cancelled:
                answer({"rate": espeak.rate}, pcm)
            return not job.is_cancelled

        espeak.speak(job.asked["text"], job.asked["voice"], job.asked["speed"], take)

    return work


if __name__ == "__main__":
    serve(load)
