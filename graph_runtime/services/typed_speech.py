"""What a tester types becomes a caller's speech, in a voice that needs no key."""

from __future__ import annotations

from typing import Final

from graph_runtime.contract.errors import CredentialRejected, InputInvalid
from graph_runtime.contract.speech import SpeakRequest, Synthesizer, Voice, speaks
from graph_runtime.services.bound_speech import BoundSpeech

RATE: Final = 8000
LONGEST: Final = 500
SPEED: Final = 0.9
NO_VOICE: Final = (
    "Typed words cannot be spoken in this language: speech without keys is not installed, or does not speak it."
)


class TypedSpeech:
    """Another voice than the agent's usual one where there is one: an echo gate takes the same voice for an echo."""

    def __init__(self, speech: BoundSpeech) -> None:
        self._speech = speech

    async def can_speak(self, language: str) -> bool:
        """Whether there is a voice for it."""
        found = await self._speech.without_key()
        return found is not None and speaks(self._speech.languages_without_key(), language)

    async def samples(self, text: str, language: str) -> bytes:
        """16-bit samples at 8 kHz. Raises: InputInvalid, CredentialRejected, ConnectorError."""
        words = text.strip()
        if not words or len(words) > LONGEST:
            raise InputInvalid(f"Type up to {LONGEST} characters for the caller to say.", field="text")
        voice = await self._speech.without_key()
        if voice is None or not await self.can_speak(language):
            raise CredentialRejected(NO_VOICE, reason="no_voice")
        return await self._spoken(voice, words, language)

    async def _spoken(self, voice: Synthesizer, text: str, language: str) -> bytes:
        request = SpeakRequest(text, language, _other(self._speech.voices_without_key(), language), RATE, SPEED)
        pieces = [audio async for audio in voice.speak(request)]
        if not pieces:
            return b""
        return _at_8_khz(b"".join(p.pcm for p in pieces), pieces[0].rate)


def _other(voices: tuple[Voice, ...], language: str) -> str:
    """The last voice of a language: whoever chooses none speaks with the first."""
    fitting = [v.id for v in voices if speaks(v.languages, language)]
    return fitting[-1] if fitting else ""


def _at_8_khz(pcm: bytes, rate: int) -> bytes:
    if rate == RATE:
        return pcm
    import numpy as np
    import soxr

    samples = np.frombuffer(pcm, dtype="<i2")
    return bytes(soxr.resample(samples, rate, RATE, quality="HQ").tobytes())
