"""Speech as the product sees it: frames of audio become transcripts and text becomes audio, whoever the vendor is.

All audio is signed 16-bit little-endian mono PCM; rates are samples per second.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

TRANSCRIBER_SLOT: Final = "transcriber"
SYNTHESIZER_SLOT: Final = "synthesizer"
"""The connection slots of an agent for its calls. The chosen "model" is a transcriber's model, a synthesizer's voice."""

BACKLOG_SECONDS: Final = 60.0
"""A listening that is this far behind the frames it was fed gives up with Unreachable."""
LONGEST_TEXT: Final = 5000
"""Characters of one `SpeakRequest`; the voice asks sentence by sentence."""


@dataclass(frozen=True, slots=True)
class ListenRequest:
    """How one utterance is to be heard.

    `rate` of the frames that will be fed. `language` is BCP 47, with or without a region ("uk", "uk-UA"). `hints` are
    words and phrases likely to come up; `options` is a closed set of phrases: whatever does not sound like one of them
    becomes an empty final transcript where the transcriber has a grammar, and counts as hints elsewhere. `seconds`: how
    long the final transcripts may take after `finish`.
    """

    rate: int
    language: str = "en"
    hints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """Recognised text. An interim one is replaced by the next transcript; a final one stands.

    The utterance is its finals joined by spaces. An empty final: there was nothing that could be understood.
    `confidence` 0…1, None when the vendor does not say. `language` as the vendor told it, else as it was asked for.
    """

    text: str
    is_final: bool
    confidence: float | None = None
    language: str = ""


class Listening(Protocol):
    """One utterance being heard; used by one task, on the event loop it was made on."""

    def feed(self, pcm: bytes) -> None:
        """Take a frame of any length; never waits. Ignored after `finish`, `aclose` or an error.

        Raises: ValueError for half a sample.
        """
        ...

    def finish(self) -> None:
        """The utterance is over: everything fed so far is recognised, then `transcripts` ends."""
        ...

    def transcripts(self) -> AsyncIterator[Transcript]:
        """Interims (where the transcriber gives them) and at least one final, in the order of the audio; once.

        Raises: CredentialRejected, RateLimited, Unreachable, Refused, BadAnswer. Never retries. When finals came before
        an error they stand: the audio after them is what was lost.
        """
        ...

    async def aclose(self) -> None:
        """Stop at once and let go of everything; safe at any time and more than once."""
        ...


class Transcriber(Protocol):
    """One recogniser of one vendor with one credential; any number of utterances at a time."""

    provider: str
    name: str

    def listen(self, request: ListenRequest) -> Listening:
        """Begin an utterance. Does not wait: what is wrong is raised by `transcripts`."""
        ...

    async def warm_up(self) -> None:
        """Load or connect what the first utterance would wait for. Raises: as `transcripts`."""
        ...

    async def aclose(self) -> None:
        """End processes and connections; the next utterance opens new ones."""
        ...


@dataclass(frozen=True, slots=True)
class SpeakRequest:
    """Text to be spoken, at most LONGEST_TEXT characters.

    `voice` is an id of the offer's voices; "" or one that does not speak `language` (BCP 47) leaves the choice to the
    synthesizer. `rate` is wished for; the audio says what it has. `speed` 0.5…2, 1 is normal. `first_seconds`: how long
    the first audio may take, and any later pause; `seconds`: all of it.
    """

    text: str
    language: str = "en"
    voice: str = ""
    rate: int = 8000
    speed: float = 1.0
    seconds: float = 60.0
    first_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Audio:
    """A piece of speech: whole samples, never empty. The `rate` is the same in all pieces of one answer."""

    pcm: bytes
    rate: int


class Synthesizer(Protocol):
    """The voices of one vendor with one credential; any number of texts at a time."""

    provider: str
    name: str

    def speak(self, request: SpeakRequest) -> AsyncIterator[Audio]:
        """Yield the speech in order, as it is made. Closing the iterator stops the work.

        Text without anything to say gives no audio.

        Raises: CredentialRejected, RateLimited, Unreachable, Refused, BadAnswer. Never retries.
        """
        ...

    async def warm_up(self) -> None:
        """Load or connect what the first text would wait for. Raises: as `speak`."""
        ...

    async def aclose(self) -> None:
        """End processes and connections; the next text opens new ones."""
        ...


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice a connector offers. `languages`: "en" covers every English; empty means that it speaks any."""

    id: str
    label: str
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OfferedTranscriber:
    """A model a transcriber suggests; people may also type any other name."""

    name: str
    label: str


@dataclass(frozen=True, kw_only=True)
class TranscriberOffer:
    """What a connector knows about recognising speech.

    `open(settings, model)` makes a transcriber; it does no I/O and imports nothing heavy. `languages` as in `Voice`.
    `streams`: transcripts come while audio is still fed; otherwise after `finish`. `has_grammar`: `options` are a closed
    set. `is_offline`: no network. `needs_key`: of no use before a credential is entered. `missing()`: "" or a sentence
    that says what has to be installed first.
    """

    open: Callable[[Any, str], Transcriber]
    models: tuple[OfferedTranscriber, ...]
    languages: tuple[str, ...] = ()
    streams: bool = False
    has_grammar: bool = False
    is_offline: bool = False
    needs_key: bool = True
    missing: Callable[[], str] | None = None


@dataclass(frozen=True, kw_only=True)
class SynthesizerOffer:
    """What a connector knows about speaking. The fields that `TranscriberOffer` has too mean the same.

    `streams`: audio of a text comes before all of it is made.
    """

    open: Callable[[Any], Synthesizer]
    voices: tuple[Voice, ...]
    languages: tuple[str, ...] = ()
    streams: bool = False
    is_offline: bool = False
    needs_key: bool = True
    missing: Callable[[], str] | None = None


def speaks(languages: tuple[str, ...], language: str) -> bool:
    """Whether `language` is among those offered: none offered means any; without a region it covers every region."""
    wanted, wanted_region = _parts(language)
    return not languages or any(
        wanted == main and (not region or not wanted_region or region == wanted_region)
        for main, region in map(_parts, languages)
    )


def _parts(language: str) -> tuple[str, str]:
    main, _, region = language.lower().partition("-")
    return main, region
