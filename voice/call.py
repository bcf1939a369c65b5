"""One call between the line and the dialogue: frames in, turns out; it decides nothing that `turn_taking` does not."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from graph_runtime.contract.calls import Digits, Listen, Record, Silence, Speech
from graph_runtime.contract.errors import Conflict, ConnectorError
from graph_runtime.contract.speech import ListenRequest
from voice.audiosocket.server import Line
from voice.dialogue import Dialogue
from voice.echo_gate import EchoGate
from voice.frames import PHONE
from voice.house import House
from voice.latency import Stamp, TurnLatency
from voice.playout import Playout
from voice.recording import Keep, Recording
from voice.resample import Resampler, resampled
from voice.speaker import Piece
from voice.transcriber import Hearing
from voice.turn_taking import (
    Decision,
    DigitPressed,
    DigitsEntered,
    ForgetIt,
    Heard,
    InterruptUs,
    ListenNow,
    NoInput,
    PauseUs,
    Phase,
    ResumeUs,
    Rules,
    SoftEnded,
    TimePassed,
    TurnEnded,
    TurnEvent,
    TurnTaking,
    WeEnded,
    WentOn,
    WeSpeak,
    WeWait,
    Words,
)
from voice.voice_activity import WINDOW_MS, Ear, Fading
from voice.voicemail import Message

log = structlog.get_logger(__name__)

PRE_ROLL_WINDOWS = 10
"""320 ms before the voice was detected belong to it; over our own speech the gate takes 200 ms longer."""
GATED_WINDOWS = 6
AS_USUAL = Rules()


@dataclass(slots=True)
class CallCounts:
    """What a call's turns report."""

    false_interruptions: int = 0
    interruptions: int = 0


class Call:
    """The ears of one line. Every method is called on the event loop and returns at once.

    `full`: why this process lets no new call in; one that somebody talks on is held all the same.
    """

    def __init__(
        self, house: House, call_id: uuid.UUID, on_over: Callable[[Call], None] = lambda _: None, full: str = ""
    ) -> None:
        self.house = house
        self.call_id = call_id
        self._full = full
        self.counts = CallCounts()
        self.latency = TurnLatency()
        self.turns = TurnTaking()
        self.gate = EchoGate()
        self.listen = Listen()
        self._on_over = on_over
        self._line: Line | None = None
        self._playout: Playout | None = None
        self._dialogue: Dialogue | None = None
        self._running: asyncio.Task[None] | None = None
        self._ear = Ear(self._on_window)
        self._resampler: Resampler | None = None
        self._hearing: Hearing | None = None
        self._message: Message | None = None
        self._recording: Recording | None = None
        self._results: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._voice_at = 0.0
        self._fading = Fading()
        self._is_leaving = self._is_closed = self._is_over = False

    # the line

    def opened(self, line: Line) -> None:
        """Attach the call and let its dialogue begin."""
        self._line = line
        if line.format.rate != PHONE.rate:
            self._resampler = Resampler(line.format.rate, PHONE.rate)
        self._playout = playout = Playout(line, line.format)
        playout.on_started, playout.on_ended = self._we_speak, self._we_ended
        self._dialogue = Dialogue(self.house, self, playout)
        self.house.clock.join(playout)
        self._ear.pull = line.fetch
        self.house.detector.join(self._ear)
        line.fetch_only()
        self._running = asyncio.create_task(self._run(self._dialogue), name="call")
        if self._is_leaving:
            self._dialogue.leave()

    def heard(self, audio: bytes) -> None:
        """Into the ear, at 8 kHz."""
        if self._recording is not None:
            self._recording.heard(audio)
        self._ear.feed(audio if self._resampler is None else self._resampler.feed(audio))

    def pressed(self, digit: str) -> None:
        """A key."""
        if self._message is not None and not self._message.over.is_set():
            self._message.press(digit)
        else:
            self.step(DigitPressed(digit))

    def closed(self, reason: str) -> None:
        """The line is gone; the dialogue ends and tells the service."""
        log.info("call_line_closed", call=str(self.call_id), reason=reason)
        if self._playout is not None:
            self.house.clock.leave(self._playout)
            self._playout.flush()
        self.house.detector.leave(self._ear)
        self._stop_timer()
        self._forget()
        if self._message is not None:
            self._message.stop()
        if self._recording is not None:
            self._recording.close()
        self._is_closed = True
        if self._dialogue is not None:
            self._dialogue.line_closed(reason)
            self._part()
        else:
            self._on_over(self)

    def _part(self) -> None:
        """Once line and dialogue have ended, nothing of the call holds another part of it: the memory of a call is free when it
        is over, not when the garbage collector looks, which it does seldom."""
        if self._is_closed and self._is_over and self._playout is not None and self._dialogue is not None:
            self._playout.on_started = self._playout.on_ended = _nothing
            self._playout.tap = None
            self._ear.on_window, self._ear.pull = _nothing, None
            self._dialogue.part()

    @property
    def false_interruptions(self) -> int:
        """Pauses that were none."""
        return self.counts.false_interruptions

    @property
    def gated_echo(self) -> int:
        """Windows of speech that were our own."""
        return self.gate.gated

    @property
    def is_heard_out(self) -> bool:
        """Whether the caller is in the middle of nothing, and all they said was understood."""
        return not self.turns.is_hearing and not self._results

    def end(self) -> None:
        """Give the call back to the dialplan."""
        if self._line is not None:
            self._line.end()

    def leave_at_turn_boundary(self) -> None:
        """This process ends: another one takes the call as soon as nobody is speaking, or keying something in."""
        self._is_leaving = True
        if self._dialogue is not None:
            self._dialogue.leave()

    async def finished(self) -> None:
        """Wait until the dialogue is over."""
        if self._running is not None:
            await asyncio.wait([self._running])

    @property
    def is_attached(self) -> bool:
        """Whether it is known to be a call that is ours."""
        return self._dialogue is not None and self._dialogue.is_attached

    @property
    def is_held(self) -> bool:
        """Whether it takes one of the places of this process."""
        return not self._full or self.is_attached

    async def _run(self, dialogue: Dialogue) -> None:
        try:
            await dialogue.run(str(self.call_id), self._full)
        except Exception as error:
            if isinstance(error, Conflict) and error.params.get("reason") == "desk":
                log.info("call_left_to_the_desk", call=str(self.call_id), reason=self._full)
                return
            log.error("call_failed", call=str(self.call_id), reason=type(error).__name__, exc_info=error)
        finally:
            self.end()
            self._on_over(self)
            self._is_over = True
            self._part()

    # turns

    def wait_for(self, listen: Listen, language: str) -> None:
        """A step of the flow waits for the caller."""
        self.listen = listen
        digits = listen.digits
        self.step(
            WeWait(
                Rules(
                    endpoint_ms=listen.endpoint_ms or AS_USUAL.endpoint_ms,
                    min_speech_ms=listen.min_speech_ms,
                    min_words=listen.min_words,
                    no_input_ms=listen.no_input_ms or AS_USUAL.no_input_ms,
                    longest_ms=listen.longest_ms,
                    longest_digits=digits.most if digits else AS_USUAL.longest_digits,
                    terminator=digits.terminator if digits else "#",
                    between_digits_ms=digits.pause_ms if digits else AS_USUAL.between_digits_ms,
                    language=language,
                )
            )
        )

    def keep_sound(self, keep: Keep) -> None:
        """From now on both sides are recorded."""
        if self._line is not None and self._playout is not None and self._line.is_open:
            self._recording = self.house.recorder.open(self._playout.format, keep)
            self._playout.tap = self._recording.sent

    def record(self, wants: Record, language: str) -> Message:
        """A step of the flow takes a message: until it is over, what is heard belongs to it."""
        self._forget()
        parts = self._dialogue.speech if self._dialogue is not None else None
        self._message = Message(wants, parts.transcriber if parts is not None else None, language)
        if self._line is None or not self._line.is_open:
            self._message.stop()
        return self._message

    def step(self, event: TurnEvent) -> None:
        """Tell the state machine and do what it decides."""
        was_hearing = self._is_leaving and self.turns.is_hearing
        for decision in self.turns.step(event, self.house.monotonic()):
            self._do(decision)
        self._set_timer()
        if was_hearing and not self.turns.is_hearing and self._dialogue is not None:
            self._dialogue.leave()  # it was a noise, or an answer that is before this in the line

    def _do(self, decision: Decision) -> None:
        assert self._playout is not None
        assert self._dialogue is not None
        match decision:
            case ListenNow():
                self._listen()
            case ForgetIt():
                self._forget()
            case PauseUs():
                self._playout.pause()
            case ResumeUs():
                self.counts.false_interruptions += 1
                self._playout.resume()
            case InterruptUs():
                self.counts.interruptions += 1
                if self._dialogue.interrupt():
                    self.step(WeWait(self.turns.rules))  # for what they say or key in now
            case _:
                self._end_of_turn(decision, self._dialogue)

    def _end_of_turn(self, decision: Decision, dialogue: Dialogue) -> None:
        now = self.house.monotonic()
        match decision:
            case SoftEnded():
                self.latency.stamp(Stamp.SPEECH_ENDED, self._voice_at)
                self.latency.stamp(Stamp.SOFT_END, now)
                if self._hearing is not None:
                    self._hearing.soft_end()
            case WentOn():
                self.latency.went_on()
                dialogue.think_no_more()
                if self._hearing is not None:
                    self._hearing.went_on()
            case TurnEnded():
                self.latency.stamp(Stamp.HARD_END, now)
                self._hand_over()
            case DigitsEntered():
                self._answered()
                dialogue.take(Digits(digits=decision.digits) if decision.digits else Silence())
            case NoInput():
                dialogue.take(Silence())

    def _hand_over(self) -> None:
        hearing, self._hearing = self._hearing, None
        if hearing is None:
            return
        if self._dialogue is not None:
            self._dialogue.answer_is_due()
        task = asyncio.create_task(self._recognised(hearing, self._answered()), name="final text")
        self._results.add(task)
        task.add_done_callback(self._results.discard)

    async def _recognised(self, hearing: Hearing, latency: TurnLatency) -> None:
        assert self._dialogue is not None
        try:
            speech = await hearing.result()
        except ConnectorError as error:
            log.warning("speech_not_recognised", call=str(self.call_id), reason=type(error).__name__)
            speech = Speech(text="")
        latency.stamp(Stamp.FINAL_TEXT, self.house.monotonic())
        self._dialogue.take(speech if speech.text else Silence())

    def _understood_so_far(self, text: str) -> None:
        self.step(Words(text))

    def _probably_said(self, speech: Speech) -> None:
        """Understood before it is certain that it was all."""
        if self._dialogue is not None and self.turns.is_probably_done and speech.text:
            self._dialogue.think_ahead(speech)

    def _answered(self) -> TurnLatency:
        """The stamps of the turn that ends here belong to the answer that is coming."""
        assert self._dialogue is not None
        latency, self.latency = self.latency, TurnLatency()
        self._dialogue.latency = latency
        return latency

    def _listen(self) -> None:
        assert self._dialogue is not None
        parts = self._dialogue.speech
        if parts is None or not self.listen.takes_speech:
            return
        hints = self.listen.hints
        request = ListenRequest(
            rate=PHONE.rate,
            language=(self.listen.languages or (self._dialogue.language,))[0],
            hints=hints,
            options=hints if self.listen.is_closed else (),
        )
        windows = PRE_ROLL_WINDOWS + (GATED_WINDOWS if self.turns.we_speak else 0)
        self._hearing = Hearing(
            parts.transcriber, request, self._understood_so_far, self._probably_said, self.gate.past(windows)
        )

    def _forget(self) -> None:
        if self._dialogue is not None:
            self._dialogue.think_no_more()
        if self._hearing is not None:
            self._hearing.discard()
            self._hearing = None

    # audio

    def _on_window(self, is_speech: bool, window: bytes) -> None:
        assert self._playout is not None
        spoken_ms = WINDOW_MS
        if self._playout.was_speaking:
            is_caller = self.gate.is_caller(is_speech, window, self._ours)
        else:
            self.gate.note_silence_of_ours(window)
            is_caller = is_speech
        if self._message is not None and not self._message.over.is_set():
            self._message.window(is_caller, window)
            return
        if is_caller and self.turns.phase is Phase.IDLE and self._playout.was_speaking:
            spoken_ms *= self.gate.caller_windows  # the gate opens late; a short answer must not be too short for that
        had_hearing = self._hearing
        if is_caller:
            if self._fading.voice(self._ear.energy):
                self._voice_at = self.house.monotonic()
        elif self.turns.phase is Phase.IDLE:
            self._fading.forget()
        else:
            spoken_ms += WINDOW_MS * self._fading.silence()
        if is_caller or self.turns.phase is not Phase.IDLE:
            self.step(Heard(is_caller, spoken_ms))
        if had_hearing is not None and self._hearing is had_hearing:
            had_hearing.feed(window)

    def _ours(self) -> bytes:
        """What we played last, at 8 kHz."""
        assert self._playout is not None
        return resampled(self._playout.last_played(), self._playout.format.rate, PHONE.rate)

    def _we_speak(self, piece: object) -> None:
        assert self._dialogue is not None
        if isinstance(piece, Piece):
            piece.is_started = True
            if piece.key:
                self._dialogue.latency.stamp(Stamp.FIRST_FRAME, self.house.monotonic())
            self.step(WeSpeak(is_interruptible=piece.is_interruptible))

    def _we_ended(self, piece: object) -> None:
        assert self._playout is not None
        if isinstance(piece, Piece):
            piece.end()
        if self._playout.is_idle:
            self.step(WeEnded())

    # time

    def _set_timer(self) -> None:
        at = self.turns.deadline
        if at is not None and self._timer_at is not None and self._timer_at <= at:
            return  # it is looked at again then: while somebody speaks, the moment moves with every window
        self._stop_timer()
        if at is not None and self._line is not None and self._line.is_open:
            self._timer_at = at
            delay = max(0.0, at - self.house.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = self._timer_at = None
        at = self.turns.deadline
        if at is not None and at > self.house.monotonic():
            self._set_timer()
        else:
            self.step(TimePassed())

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timer_at = None


def _nothing(*_: object) -> None:
    """Nobody is told."""
