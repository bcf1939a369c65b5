"""Whose turn it is on a call: what was heard goes in as events, what to do comes out as decisions. No clock, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from voice.words import is_backchannel, word_count

SOFT_END_MS = 200
"""So much silence, and the final text is begun on suspicion."""

INTERRUPTS_AFTER_MS = 500
"""So much voice over ours is an interruption even without a recognised word."""

RESUMES_AFTER_MS = 1_000
DECIDES_AFTER_MS = 2_000
"""A pause for somebody who said nothing ends after the first when it is quiet, after the second in any case."""

GAP_MS = 1_000
"""Without any audio for so long the line itself is silent; a key held down (180 ms) or a bad network is not."""

REPROMPTS = 2


class Phase(StrEnum):
    """What the caller's side of the line is doing."""

    IDLE = "idle"
    MAYBE = "maybe"
    """Some voice, too little to be speech."""
    SPEECH = "speech"
    SOFT = "soft"
    """Speech, then silence that may or may not be its end."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How the step that waits wants to be answered; the defaults are those of a step that says nothing about it."""

    endpoint_ms: int = 500
    """Silence that ends the caller's turn."""

    min_speech_ms: int = 200
    """Less voice than this is a noise."""

    min_words: int = 0
    """With 1 or more, only so many recognised words interrupt us, never voice alone."""

    no_input_ms: int = 6_000
    longest_ms: int = 25_000
    """The caller's turn is ended after this."""

    longest_digits: int = 32
    terminator: str = "#"
    """Ends the digits and is not one of them; empty for none."""

    between_digits_ms: int = 2_500
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Heard:
    """A window of the caller's audio was judged; echoes of ours count as silence."""

    is_voice: bool
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Words:
    """What the caller said in this utterance so far, as far as it was recognised."""

    text: str


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """A key of the phone."""

    digit: str


@dataclass(frozen=True, slots=True)
class WeSpeak:
    """Our first frame of something went out. What must be heard to its end is not interruptible."""

    is_interruptible: bool = True


@dataclass(frozen=True, slots=True)
class WeEnded:
    """The last frame of all we had to say went out."""


@dataclass(frozen=True, slots=True)
class WeWait:
    """A step of the flow waits for an answer, by these rules."""

    rules: Rules


@dataclass(frozen=True, slots=True)
class TimePassed:
    """It is `deadline` or later."""


TurnEvent = Heard | Words | DigitPressed | WeSpeak | WeEnded | WeWait | TimePassed


@dataclass(frozen=True, slots=True)
class ListenNow:
    """Somebody speaks: recognise from here, with the 300 ms before."""


@dataclass(frozen=True, slots=True)
class ForgetIt:
    """It was a noise, or keys took its place: throw away what was recognised."""


@dataclass(frozen=True, slots=True)
class PauseUs:
    """Fall silent within one frame."""


@dataclass(frozen=True, slots=True)
class ResumeUs:
    """Go on where we paused."""


@dataclass(frozen=True, slots=True)
class InterruptUs:
    """Cancel what we are saying and thinking."""


@dataclass(frozen=True, slots=True)
class SoftEnded:
    """Probably done speaking."""


@dataclass(frozen=True, slots=True)
class WentOn:
    """Not done after all: what was begun at the soft end is void."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The caller's turn is over: what was recognised is the answer. `is_cut` when it was too long."""

    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class DigitsEntered:
    """The answer was keyed in."""

    digits: str


@dataclass(frozen=True, slots=True)
class NoInput:
    """Nothing came in time, for the `count`th time; after two reprompts `is_last`."""

    count: int
    is_last: bool


Decision = (
    ListenNow | ForgetIt | PauseUs | ResumeUs | InterruptUs | SoftEnded | WentOn | TurnEnded | DigitsEntered | NoInput
)


@dataclass(slots=True)
class TurnTaking:
    """The state of one call. Times are seconds of whatever clock the caller of `step` uses; lengths of voice are counted
    in audio, so that a stall of the network neither ends nor lengthens anybody's turn."""

    rules: Rules = field(default_factory=Rules)
    phase: Phase = Phase.IDLE
    we_speak: bool = False
    is_paused: bool = False
    waits: bool = False
    _is_interruptible: bool = True
    _voice_ms: int = 0
    _silence_ms: int = 0
    _length_ms: int = 0
    _text: str = ""
    _digits: str = ""
    _digit_at: float = 0.0
    _paused_at: float = 0.0
    _heard_at: float = 0.0
    _quiet_since: float = 0.0
    _no_inputs: int = 0

    def step(self, event: TurnEvent, now: float) -> list[Decision]:
        """What `event` means at `now`, in the order it is to be done."""
        match event:
            case Heard():
                self._heard_at = now
                return self._hear_voice(event, now) if event.is_voice else self._hear_silence(event.milliseconds, now)
            case Words():
                self._text = event.text
                return self._judge_interruption(now)
            case DigitPressed():
                return self._press(event.digit, now)
            case WeSpeak():
                self.we_speak, self._is_interruptible = True, event.is_interruptible
                return self._pause(now) if self.phase is not Phase.IDLE else []
            case WeEnded():
                self.we_speak = self.is_paused = False
                self._quiet_since = now
                return self._flush_digits(now)
            case WeWait():
                self.rules, self.waits = event.rules, True
                self._quiet_since, self._no_inputs = now, 0
                return self._flush_digits(now)
            case TimePassed():
                return self._pass_time(now)

    @property
    def deadline(self) -> float | None:
        """When `TimePassed` is wanted, if nothing else happens before."""
        moments = []
        if self._digits and self._may_answer:
            moments.append(self._digit_at + self.rules.between_digits_ms / 1000)
        if self.is_paused:
            is_quiet = self._silence_ms >= SOFT_END_MS
            moments.append(self._paused_at + (RESUMES_AFTER_MS if is_quiet else DECIDES_AFTER_MS) / 1000)
        if self.phase is not Phase.IDLE:
            moments.append(self._heard_at + GAP_MS / 1000)
        elif self._is_waiting_in_silence:
            moments.append(self._quiet_since + self.rules.no_input_ms / 1000)
        return min(moments, default=None)

    @property
    def is_probably_done(self) -> bool:
        """The caller has answered, unless they go on before the hard end."""
        return self.phase is Phase.SOFT and self.waits and not self.is_paused

    @property
    def is_hearing(self) -> bool:
        """Whether the caller has begun something that is not an answer yet: voice, or keys."""
        return self.phase is not Phase.IDLE or bool(self._digits)

    @property
    def _is_waiting_in_silence(self) -> bool:
        return self.waits and not self.we_speak and self.phase is Phase.IDLE and not self._digits

    @property
    def _may_answer(self) -> bool:
        """Whether keys and voice count as an answer now: not over a message that must be heard to its end."""
        return self.waits and not self.we_speak

    @property
    def _is_deaf(self) -> bool:
        return self.we_speak and not self._is_interruptible

    def _hear_voice(self, event: Heard, now: float) -> list[Decision]:
        if self._is_deaf and self.phase is Phase.IDLE:
            return []
        decisions: list[Decision] = []
        if self.phase is Phase.IDLE:
            self.phase = Phase.MAYBE
            self._voice_ms = self._length_ms = 0
            self._text = ""
            decisions.append(ListenNow())
            decisions += self._pause(now)
        elif self.phase is Phase.SOFT:
            self.phase = Phase.SPEECH
            decisions.append(WentOn())
        self._silence_ms = 0
        self._voice_ms += event.milliseconds
        self._length_ms += event.milliseconds
        if self.phase is Phase.MAYBE and self._voice_ms >= self.rules.min_speech_ms:
            self.phase = Phase.SPEECH
        decisions += self._judge_interruption(now)
        if self._length_ms >= self.rules.longest_ms:
            decisions += self._end(now, is_cut=True)
        return decisions

    def _hear_silence(self, milliseconds: int, now: float) -> list[Decision]:
        if self.phase is Phase.IDLE:
            return []
        self._silence_ms += milliseconds
        self._length_ms += milliseconds
        if self._silence_ms < SOFT_END_MS:
            return []
        if self.phase is Phase.MAYBE:
            if not self._text:
                return self._forget()
            self.phase = Phase.SPEECH
        decisions: list[Decision] = []
        if self.phase is Phase.SPEECH:
            self.phase = Phase.SOFT
            decisions.append(SoftEnded())
        if self.is_paused:
            return decisions + self._judge_interruption(now)
        if self._silence_ms >= self.rules.endpoint_ms or self._length_ms >= self.rules.longest_ms:
            decisions += self._end(now, is_cut=self._silence_ms < self.rules.endpoint_ms)
        return decisions

    def _pause(self, now: float) -> list[Decision]:
        if not self.we_speak or self.is_paused or self._is_deaf:
            return []
        self.is_paused, self._paused_at = True, now
        return [PauseUs()]

    def _judge_interruption(self, now: float) -> list[Decision]:
        """Whether a pause becomes an interruption, ends, or lasts a little longer."""
        if not self.is_paused:
            return []
        is_yes = bool(self._text) and is_backchannel(self._text, self.rules.language)
        enough_words = word_count(self._text) >= max(self.rules.min_words, 1) and not is_yes
        enough_voice = self._voice_ms >= INTERRUPTS_AFTER_MS and self.rules.min_words == 0 and not is_yes
        is_quiet = self._silence_ms >= SOFT_END_MS
        if self.phase is not Phase.MAYBE and (enough_words or enough_voice):
            self.is_paused = self.we_speak = False
            return [InterruptUs()]
        is_over = is_quiet and (is_yes or now >= self._paused_at + RESUMES_AFTER_MS / 1000)
        if is_over or now >= self._paused_at + DECIDES_AFTER_MS / 1000:
            return self._forget()
        return []

    def _forget(self) -> list[Decision]:
        self.phase, self._text = Phase.IDLE, ""
        decisions: list[Decision] = [ForgetIt()]
        if self.is_paused:
            self.is_paused = False
            decisions.append(ResumeUs())
        return decisions

    def _end(self, now: float, *, is_cut: bool = False) -> list[Decision]:
        self.phase, self.waits = Phase.IDLE, False
        self._quiet_since = now
        return [TurnEnded(is_cut)]

    def _press(self, digit: str, now: float) -> list[Decision]:
        decisions: list[Decision] = []
        if self.phase is not Phase.IDLE:
            self.phase, self._text = Phase.IDLE, ""
            decisions.append(ForgetIt())
        if self.we_speak and self._is_interruptible:
            self.we_speak = self.is_paused = False
            decisions.append(InterruptUs())
        self._quiet_since = self._digit_at = now
        is_end = bool(self.rules.terminator) and digit == self.rules.terminator
        if is_end and not self._digits and not self.we_speak:
            return decisions  # a terminator alone ends nothing
        self._digits += digit
        return decisions + self._flush_digits(now)

    def _flush_digits(self, now: float) -> list[Decision]:
        """Hand over the keys as soon as they are an answer; keys pressed before the question wait for it."""
        if not (self._digits and self._may_answer):
            return []
        entered, found, rest = self._digits, "", ""
        if self.rules.terminator:
            entered, found, rest = self._digits.partition(self.rules.terminator)
        if len(entered) > self.rules.longest_digits or (not found and len(entered) == self.rules.longest_digits):
            entered, rest = self._digits[: self.rules.longest_digits], self._digits[self.rules.longest_digits :]
        elif not found and now < self._digit_at + self.rules.between_digits_ms / 1000:
            return []
        self._digits, self.waits = rest, False
        return [DigitsEntered(entered)]

    def _pass_time(self, now: float) -> list[Decision]:
        decisions = self._flush_digits(now)
        if self.phase is not Phase.IDLE and now >= self._heard_at + GAP_MS / 1000:
            missing_ms = int((now - self._heard_at) * 1000)
            self._heard_at = now
            decisions += self._hear_silence(missing_ms, now)
        if self.is_paused:
            decisions += self._judge_interruption(now)
        if self._is_waiting_in_silence and now >= self._quiet_since + self.rules.no_input_ms / 1000:
            self._no_inputs += 1
            self._quiet_since = now
            self.waits = self._no_inputs <= REPROMPTS
            decisions.append(NoInput(self._no_inputs, is_last=not self.waits))
        return decisions
