"""One call's turns: what was heard goes to the service, what it says goes to the speaker, until the call is given back."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from graph_runtime.contract.calls import (
    Begin,
    CallEvent,
    Drop,
    HangUp,
    Heard,
    Hold,
    Listen,
    MessageEnds,
    Record,
    Recorded,
    Silence,
    Sound,
    Speech,
    Transfer,
    TurnTimes,
    Voice,
    WaitBegins,
    Words,
)
from graph_runtime.contract.errors import BuilderError
from graph_runtime.services.call_turns import PhoneCall
from voice.bridging import Bridging
from voice.house import House, SpeechParts
from voice.latency import Stamp, TurnLatency
from voice.playout import Playout
from voice.recording import Keep
from voice.signals import Mailbox
from voice.speaker import Piece, Speaker
from voice.texts import Bridge, recording_notice, text_of
from voice.voicemail import Message, tone

log = structlog.get_logger(__name__)


class Caller(Protocol):
    """The side of the call that hears."""

    @property
    def false_interruptions(self) -> int: ...
    @property
    def gated_echo(self) -> int: ...
    @property
    def is_heard_out(self) -> bool: ...
    def wait_for(self, listen: Listen, language: str) -> None: ...
    def record(self, wants: Record, language: str) -> Message: ...
    def keep_sound(self, keep: Keep) -> None: ...
    def end(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TurnOver:
    """The service has said everything; `end` is how it ended."""

    end: CallEvent | None


@dataclass(frozen=True, slots=True)
class Closed:
    """The line is gone."""

    reason: str


class Leave:
    """This process ends."""


class GiveUp:
    """Nothing came for too long."""


class Dialogue:
    """Turns of one call, one at a time; something new that is heard ends the turn that is still being spoken."""

    def __init__(self, house: House, call: Caller, playout: Playout) -> None:
        self.speech: SpeechParts | None = None
        self.latency = TurnLatency()
        self._house = house
        self._call = call
        self._playout = playout
        self._phone: PhoneCall | None = None
        self._inbox: Mailbox[Heard | TurnOver | Closed | Leave | GiveUp] = Mailbox()
        self._turn: asyncio.Task[None] | None = None
        self._speaker: Speaker | None = None
        self._cutting: asyncio.Task[None] | None = None
        self._thinking: asyncio.Task[None] | None = None
        self._bridging = Bridging(house, playout, self._is_heard, lambda: self._inbox.put(GiveUp()))
        self._recording: asyncio.Task[Recorded] | None = None
        self._is_leaving = False
        self._is_awaiting = False
        """Whether this turn has said what is waited for."""

        self._late_before = house.clock.late

    @property
    def is_attached(self) -> bool:
        """Whether the call is ours."""
        return self._phone is not None

    @property
    def language(self) -> str:
        """Of the call now; a step of the flow may change it."""
        return self._phone.language if self._phone is not None else "en"

    def take(self, heard: Heard) -> None:
        """Something for the next turn."""
        self._inbox.put(heard)

    def think_ahead(self, speech: Speech) -> None:
        """The caller has probably finished; what is said of it is decided when they have."""
        phone = self._phone
        if phone is None or self._is_speaking:
            return
        self.think_no_more()
        if self._cutting is None or self._cutting.done():
            self._house.phone.think_ahead(phone, speech)
        else:
            self._thinking = asyncio.create_task(self._think(phone, speech, self._cutting), name="thinking")

    def think_no_more(self) -> None:
        """The caller has not finished, or means something else."""
        if self._thinking is not None:
            self._thinking.cancel()
            self._thinking = None
        if self._phone is not None:
            self._house.phone.think_no_more(self._phone)

    async def _think(self, phone: PhoneCall, speech: Speech, cutting: asyncio.Task[None]) -> None:
        """Models see what was heard of the answer that the caller has just interrupted."""
        await asyncio.wait([cutting])
        self._house.phone.think_ahead(phone, speech)

    def answer_is_due(self) -> None:
        """The caller has ended; what was said may still have to be understood."""
        if self.speech is not None and self._phone is not None:
            self._bridging.begin(self.speech, partial(self._voice, self._phone))

    def line_closed(self, reason: str) -> None:
        """The last thing that comes from the line."""
        self._inbox.put(Closed(reason))

    def leave(self) -> None:
        """Give the call to another process at the end of the turn. Said again whenever the caller has been heard out."""
        self._inbox.put(Leave())

    def interrupt(self) -> bool:
        """The caller has the word: silence at once, and the service learns what was heard. True: nobody will say any more
        what is waited for, because the turn had not come to that."""
        flushed = self._playout.flush()
        speaker, self._speaker = self._speaker, None
        is_cut = self._is_speaking and not self._is_awaiting
        if self._turn is not None:
            self._turn.cancel()
        if self._phone is not None:
            self._phone.waits = None  # the end of that turn will not be heard of
        found = speaker.heard(flushed) if speaker is not None else None
        if found is not None and self._phone is not None:
            latency = self.latency if self._turn is not None else TurnLatency()
            cutting = self._cut(self._phone, *found, latency, after=self._cutting)
            self._cutting = asyncio.create_task(cutting, name="cut")
        for one in flushed:
            if isinstance(one.key, Piece):
                one.key.end()  # whoever waits for its end, such as what bridges a silence, waits in vain
        return is_cut

    def part(self) -> None:
        """It has run, and the call is over: neither keeps the other."""
        del self._call

    async def run(self, call_id: str, full: str = "") -> None:
        """The whole call; `full`: why this process lets no new one in. Raises: BuilderError when it cannot be attached."""
        self._phone = phone = await self._house.phone.attach(call_id, full)
        if phone.line.is_recorded and not phone.is_operator:
            self._call.keep_sound(partial(self._keep_part, phone))
        try:
            self.speech = await self._house.speech(phone)
            await self._converse(phone)
        finally:
            await self._bridging.close()
            self.think_no_more()
            for task in (self._turn, self._cutting, self._recording):
                if task is not None:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
            self._turn = self._cutting = self._recording = None  # a task that was cancelled remembers where, and us

    async def _converse(self, phone: PhoneCall) -> None:
        self._begin_turn(phone, Begin())
        while True:
            item = await self._inbox.get()
            if isinstance(item, Closed):
                if item.reason != "ended":
                    await self._keep_what_was_left(phone)
                    await self._house.phone.gone(phone)
                return
            if isinstance(item, TurnOver):
                self._turn = None
                if await self._after_turn(phone, item.end):
                    return
            elif isinstance(item, GiveUp):
                await self._end_turn()
                phone.waits = self._without_an_answer(phone)
                await self._give_back(phone)
                return
            elif isinstance(item, Leave):
                self._is_leaving = True
                if self._is_at_turn_boundary and await self._gives_away(phone):
                    return
            elif not (isinstance(item, Silence) and self._is_speaking):
                self._recording = None
                await self._end_turn()
                self._begin_turn(phone, item)

    def _begin_turn(self, phone: PhoneCall, heard: Heard) -> None:
        assert self.speech is not None
        self._is_awaiting = False
        self._bridging.begin(self.speech, partial(self._voice, phone))
        self._speaker = speaker = Speaker(self._playout, self.speech, self._house.phrases)
        if isinstance(heard, Begin) and phone.is_new and phone.line.is_recorded and not phone.is_operator:
            notice = phone.line.recording_notice or recording_notice(self.language)
            speaker.say(notice, self._voice(phone), is_interruptible=False)
        self._turn = asyncio.create_task(self._take_turn(phone, heard, speaker), name="turn")

    async def _end_turn(self) -> None:
        """What is being said gives way to what was heard."""
        if self._turn is not None:
            self.interrupt()
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()
            await asyncio.gather(turn, return_exceptions=True)
        elif not self._playout.is_idle:
            self.interrupt()

    async def _take_turn(self, phone: PhoneCall, heard: Heard, speaker: Speaker) -> None:
        latency = self.latency
        house = self._house
        speaker.on_first_sentence = lambda: latency.stamp(Stamp.FIRST_SENTENCE, house.monotonic())
        speaker.on_first_audio = lambda: latency.stamp(Stamp.FIRST_AUDIO, house.monotonic())
        cutting = self._cutting
        if cutting is not None:
            await asyncio.wait([cutting])
        speaker.start()
        end: CallEvent | None = None
        try:
            async with aclosing(house.phone.turn(phone, heard)) as events:
                async for event in events:
                    self._say(phone, speaker, event, latency)
                    end = event
            await self._bridging.end()
            if isinstance(end, Listen):
                # The question may still be spoken; an answer to it counts from its end, an interruption from now.
                self._is_awaiting = True
                self._call.wait_for(end, (end.languages or (self.language,))[0])
            elif isinstance(end, HangUp):
                end = phone.waits = self._last_words(phone, end, speaker)
            await speaker.finished()
            await house.phone.spoken(phone)
            await self._report(phone, latency)
        except BuilderError as error:
            log.warning("turn_not_spoken", call=phone.uuid, reason=type(error).__name__)
            await self._bridging.end()
            end = phone.waits = self._without_an_answer(phone)
        finally:
            await speaker.stop()
        self._inbox.put(TurnOver(end))

    def _say(self, phone: PhoneCall, speaker: Speaker, event: CallEvent, latency: TurnLatency) -> None:
        match event:
            case Words():
                self._bridging.ladder.is_held = False
                latency.stamp(Stamp.FIRST_TOKEN, self._house.monotonic())
                speaker.words(event)
            case Drop():
                speaker.drop(event.key)
            case MessageEnds():
                speaker.message_ends(event.key)
            case Sound():
                speaker.sound(event, partial(self._house.phone.sound, phone, event))
            case WaitBegins():
                self._bridging.ladder.filler = event.filler
            case Hold():
                self._bridging.ladder.is_held = True

    async def _after_turn(self, phone: PhoneCall, end: CallEvent | None) -> bool:
        """Whether the call is given back."""
        if isinstance(end, HangUp | Transfer):
            await self._give_back(phone)
            return True
        if self._is_leaving and self._is_at_turn_boundary and await self._gives_away(phone):
            return True
        if isinstance(end, Record):
            self._recording = asyncio.create_task(self._record(phone, end), name="message")
        return False

    async def _record(self, phone: PhoneCall, wants: Record) -> Recorded:
        """Take a message from the tone to its end and keep it."""
        if wants.has_beep:
            self._playout.say("tone", tone(self._playout.format))
            await self._playout.drained()
        message = self._call.record(wants, self.language)
        await message.ended()
        recorded = Recorded()
        if message.was_left:
            wav, text, file_id = message.wav(), await message.text(), ""
            try:
                file_id = await self._house.phone.keep_recording(phone, wav)
            except BuilderError as error:
                log.warning("message_not_kept", call=phone.uuid, reason=type(error).__name__)
            recorded = Recorded(file_id=file_id, duration_ms=message.duration_ms, size=len(wav), text=text)
        self.take(recorded)
        return recorded

    async def _keep_what_was_left(self, phone: PhoneCall) -> None:
        """Most callers end their message by hanging up: the step gets it all the same, and says what it says to nobody."""
        if self._recording is None or (not (recorded := await self._recording).text and not recorded.file_id):
            return
        try:
            async with aclosing(self._house.phone.turn(phone, recorded)) as events:
                async for _ in events:
                    pass
        except BuilderError as error:
            log.warning("message_too_late", call=phone.uuid, reason=type(error).__name__)

    async def _gives_away(self, phone: PhoneCall) -> bool:
        """Let another process have the call, unless the caller begins something while that is being written down."""
        await self._give_back(phone)
        return self._is_at_turn_boundary

    async def _give_back(self, phone: PhoneCall) -> None:
        await self._playout.drained()
        await self._house.phone.let_go(phone, again=self._is_leaving and not isinstance(phone.waits, HangUp | Transfer))

    def _last_words(self, phone: PhoneCall, end: HangUp, speaker: Speaker) -> HangUp | Transfer:
        """A conversation that broke off ends in words, too."""
        if end.last_words:
            speaker.say(end.last_words, end.voice)
        elif end.reason == "failed":
            speaker.say(text_of(Bridge.GIVE_UP, self.language), end.voice)
            return self._without_an_answer(phone)
        return end

    def _without_an_answer(self, phone: PhoneCall) -> HangUp | Transfer:
        """Somebody else takes the call, if the line knows anybody."""
        if phone.line.substitute and not phone.is_operator:
            return Transfer(target=phone.line.substitute)
        return HangUp("failed", self._voice(phone))

    def _voice(self, phone: PhoneCall) -> Voice:
        return Voice(self.language, phone.line.voices.get(self.language, ""), phone.line.rate)

    @property
    def _is_at_turn_boundary(self) -> bool:
        """Whether another process would miss nothing: what the caller has half said, keyed in or just said would be lost."""
        is_over = (self._turn is None or self._turn.done()) and self._recording is None
        return is_over and self._call.is_heard_out and self._inbox.is_empty

    @property
    def _is_speaking(self) -> bool:
        """Whether a turn goes on; one that was interrupted does not, and leaves no word of its end."""
        return self._turn is not None and not self._turn.done() and not self._turn.cancelling()

    def _is_heard(self) -> bool:
        return self._speaker is not None and self._speaker.is_heard

    async def _keep_part(self, phone: PhoneCall, part: int, sound: bytes) -> bool:
        try:
            await self._house.phone.keep_part(phone, part, sound)
        except BuilderError as error:
            log.warning("recording_part_lost", call=phone.uuid, reason=type(error).__name__)
            return False
        return True

    async def _cut(
        self, phone: PhoneCall, key: str, text: str, latency: TurnLatency, *, after: asyncio.Task[None] | None
    ) -> None:
        if after is not None:
            await asyncio.wait([after])
        try:
            await self._house.phone.heard_until(phone, key, text)
            if Stamp.FIRST_FRAME in latency.moments:
                await self._report(phone, latency)
        except BuilderError as error:
            log.warning("interruption_not_kept", call=phone.uuid, reason=type(error).__name__)

    async def _report(self, phone: PhoneCall, latency: TurnLatency) -> None:
        stamps = latency.as_milliseconds()
        stamps.pop(Stamp.SPEECH_ENDED.value, None)
        times = TurnTimes(
            **stamps,
            underruns=self._playout.counts.underruns,
            late_ticks=self._house.clock.late - self._late_before,
            false_interruptions=self._call.false_interruptions,
            gated_echo=self._call.gated_echo,
        )
        await self._house.phone.measured(phone, times)
