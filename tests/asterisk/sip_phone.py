"""A telephone for tests: registers, calls, is called, hears and presses keys. Whatever is not as the standards say is a fault.

async with phone("100", "secret", server=("127.0.0.1", 5060)) as ours:
    await ours.register()
    call = await ours.call("200")
    call.sound.press("1")
    await call.hang_up()
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field, replace
from typing import Final, cast

from tests.asterisk.rtp import PCMA, PCMU, Stream
from tests.asterisk.sip import (
    MAGIC,
    BadMessage,
    Message,
    Sound,
    address,
    authorization,
    challenge,
    is_right,
    parameter,
    read,
    read_sdp,
    token,
)

HOST: Final = "127.0.0.1"
FIRST_AGAIN_SECONDS: Final = 0.5
"""T1 of RFC 3261: a request without an answer is sent again, then after twice as long."""
ANSWER_SECONDS: Final = 32.0


class Refused(Exception):
    """The other side said no. `status` as in SIP: 486 busy, 603 declined, 401 not let in."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status


@dataclass
class PhoneCall:
    """One call of a phone, from its first message. `answered_at`, `ended_at`: monotonic seconds."""

    phone: Phone
    call_id: str
    sound: Stream
    local: str
    remote: str
    target: str
    cseq: int = 0
    invite: Message | None = None
    is_ours: bool = True
    answered_at: float = 0.0
    ended_at: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    ringing: asyncio.Event = field(default_factory=asyncio.Event)
    asked_at: float = 0.0

    @property
    def caller(self) -> str:
        """The number that calls us."""
        return address(self.remote).removeprefix("sip:").split("@")[0]

    async def answer(self) -> None:
        """Take a call that rings here."""
        assert self.invite is not None
        theirs = read_sdp(self.invite.body)
        payload = next((p for p in theirs.payloads if p in (PCMU, PCMA)), None)
        if payload is None:
            raise BadMessage("nothing we both speak")
        self.sound.payload, self.sound.events = payload, theirs.events or self.sound.events
        self.answered_at = time.monotonic()
        self.phone._respond(self.invite, 200, "OK", self, body=self.phone._sdp(self.sound, (payload,)))
        self.sound.start(theirs.host, theirs.port)
        async with asyncio.timeout(ANSWER_SECONDS):
            await self.acknowledged.wait()

    def ring(self) -> None:
        """Tell that it rings."""
        assert self.invite is not None
        self.phone._respond(self.invite, 180, "Ringing", self)

    async def refuse(self, status: int = 486, reason: str = "Busy Here") -> None:
        """Say no."""
        assert self.invite is not None
        self.phone._respond(self.invite, status, reason, self)
        async with asyncio.timeout(ANSWER_SECONDS):
            await self.acknowledged.wait()
        await self._end()

    async def hang_up(self) -> None:
        """BYE; nothing when the other side was first."""
        if not self.over.is_set():
            await self.phone._request(self._message("BYE"))
        await self._end()

    def _message(self, method: str) -> Message:
        self.cseq += 1
        return self.phone._new(method, self.target, self.local, self.remote, (self.call_id, self.cseq))

    async def _end(self) -> None:
        if not self.over.is_set():
            self.ended_at = time.monotonic()
            self.over.set()
        self.phone.calls.pop(self.call_id, None)
        await self.sound.close()


class Phone(asyncio.DatagramProtocol):
    """One address. `secret` of its own user; `guard`: whoever calls here has to prove to be that user and password."""

    def __init__(self, user: str, secret: str, server: tuple[str, int] | None, guard: tuple[str, str] | None) -> None:
        self.user, self._secret, self._server, self._guard = user, secret, server, guard
        self.faults: list[str] = []
        self.calls: dict[str, PhoneCall] = {}
        self.payloads: tuple[int, ...] = (PCMU, PCMA)
        self.registered: dict[str, str] = {}
        self._incoming: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self._waiting: dict[tuple[str, str], asyncio.Queue[Message]] = {}
        self._answers: dict[tuple[str, str], bytes] = {}
        self._acks: dict[str, bytes] = {}
        self._asked: dict[str, str] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # 3.11 has no common base

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    @property
    def uri(self) -> str:
        """Where it is found."""
        return f"sip:{self.user}@{HOST}:{self.port}"

    def check(self) -> None:
        """Everything that came was as it has to be."""
        assert not self.faults, self.faults

    async def register(self, seconds: int = 300) -> None:
        """Let the server know where this phone is. Raises: Refused."""
        host, port = self._place()
        uri, who = f"sip:{host}:{port}", f"<sip:{self.user}@{host}>"
        message = self._new("REGISTER", uri, f"{who};tag={token()}", who, (token(), 1))
        message = _with(message, ("expires", str(seconds)))
        answer = await self._request(message)
        if str(self.port) not in answer.get("contact"):
            self.faults.append("the registrar does not tell our contact")

    async def call(self, number: str, seconds: float = ANSWER_SECONDS) -> PhoneCall:
        """Call a number at the server, or a whole address; returns once it is answered. Raises: Refused, TimeoutError."""
        call = await self.begin(number)
        async with asyncio.timeout(seconds):
            return await self.connect(call)

    async def begin(self, number: str) -> PhoneCall:
        """A call that is not sent yet."""
        host, port = self._place() if not number.startswith("sip:") else (HOST, 0)
        uri = number if number.startswith("sip:") else f"sip:{number}@{host}:{port}"
        local = f'"{self.user}" <sip:{self.user}@{host}>;tag={token()}'
        call = PhoneCall(self, token(), await _stream(self.payloads[0]), local, f"<{uri}>", uri)
        self.calls[call.call_id] = call
        return call

    async def connect(self, call: PhoneCall) -> PhoneCall:
        """Send it, and wait for its answer. Raises: Refused."""
        message = call._message("INVITE")
        message = replace(
            _with(message, ("content-type", "application/sdp")), body=self._sdp(call.sound, self.payloads)
        )
        call.invite, call.asked_at = message, time.monotonic()
        try:
            answer = await self._request(message, call)
            call.answered_at = time.monotonic()
            theirs = read_sdp(answer.body)
            if len(theirs.payloads) < 1 or theirs.payloads[0] not in self.payloads:
                raise BadMessage("an answer in a codec nobody offered")
            call.remote, call.target = answer.get("to"), address(answer.get("contact"))
            call.sound.payload, call.sound.events = theirs.payloads[0], theirs.events or call.sound.events
            self._acknowledge(call, call.cseq)
            call.sound.start(theirs.host, theirs.port)
        except BaseException:
            await call._end()
            raise
        return call

    async def cancel(self, call: PhoneCall) -> None:
        """Give up a call that is not answered."""
        assert call.invite is not None
        headers = tuple(
            (name, f"{call.invite.cseq[0]} CANCEL" if name == "cseq" else value)
            for name, value in call.invite.headers
            if name in ("via", "from", "to", "call-id", "cseq", "max-forwards")
        )
        await self._request(Message(headers, method="CANCEL", uri=call.invite.uri))

    async def rung(self, seconds: float = 10) -> PhoneCall:
        """The next call that arrives here."""
        async with asyncio.timeout(seconds):
            return await self._incoming.get()

    async def close(self) -> None:
        """Hang up and be gone."""
        for call in list(self.calls.values()):
            await call._end()
        await asyncio.gather(*self._working, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()

    # requests of ours

    def _new(self, method: str, uri: str, local: str, remote: str, place: tuple[str, int]) -> Message:
        via = f"SIP/2.0/UDP {HOST}:{self.port};branch={MAGIC}{token()};rport"
        headers = (("via", via), ("max-forwards", "70"), ("from", local), ("to", remote), ("call-id", place[0]),
                   ("cseq", f"{place[1]} {method}"), ("contact", f"<{self.uri}>"))  # fmt: skip
        return Message(headers, method=method, uri=uri)

    async def _request(self, message: Message, call: PhoneCall | None = None) -> Message:
        """Until its final answer; asked to prove who we are, once more with the proof. Raises: Refused, TimeoutError."""
        answer = await self._transact(message, call)
        if answer.status in (401, 407):
            asked, name = ("www-authenticate", "authorization") if answer.status == 401 else ("proxy-authenticate", "proxy-authorization")  # fmt: skip
            proof = authorization(answer.get(asked), (self.user, self._secret), message.method, message.uri)
            number = message.cseq[0] + 1
            if call is not None:
                call.cseq = number
            message = _again(message, number, (name, proof))
            if call is not None:
                call.invite = message
            answer = await self._transact(message, call)
        if answer.status >= 300:
            raise Refused(answer.status, answer.reason)
        return answer

    async def _transact(self, message: Message, call: PhoneCall | None) -> Message:
        key = (message.branch, message.method)
        answers: asyncio.Queue[Message] = asyncio.Queue()
        self._waiting[key] = answers
        wait, is_heard = FIRST_AGAIN_SECONDS, False
        try:
            async with asyncio.timeout(None if call is not None else ANSWER_SECONDS):
                self._send(message.to_bytes(), self._way(message.uri))
                while True:
                    try:
                        async with asyncio.timeout(None if is_heard else wait):
                            answer = await answers.get()
                    except TimeoutError:
                        wait *= 2
                        if wait > ANSWER_SECONDS:
                            raise
                        self._send(message.to_bytes(), self._way(message.uri))
                        continue
                    is_heard = True
                    if answer.status >= 200:
                        break
                    if answer.status in (180, 183) and call is not None:
                        call.ringing.set()
        finally:
            del self._waiting[key]
        if message.method == "INVITE" and answer.status >= 300:
            headers = [(n, v) for n, v in message.headers if n in ("via", "from", "call-id", "max-forwards")]
            headers += [("to", answer.get("to")), ("cseq", f"{message.cseq[0]} ACK")]
            ack = Message(tuple(headers), method="ACK", uri=message.uri).to_bytes()
            self._acks[message.branch] = ack
            self._send(ack, self._way(message.uri))
        return answer

    def _acknowledge(self, call: PhoneCall, number: int) -> None:
        ack = self._new("ACK", call.target, call.local, call.remote, (call.call_id, number)).to_bytes()
        self._acks[call.call_id] = ack
        self._send(ack, self._way(call.target))

    # what arrives

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not data.strip():
            return  # a keep-alive
        try:
            message = read(data)
            if message.method:
                self._asked_for(message, addr)
            else:
                self._answered(message)
        except (BadMessage, ValueError) as error:
            self.faults.append(str(error))

    def _answered(self, answer: Message) -> None:
        key = (answer.branch, answer.cseq[1])
        if key in self._waiting:
            self._waiting[key].put_nowait(answer)
        elif answer.cseq[1] == "INVITE" and answer.status >= 200:
            again = self._acks.get(answer.branch if answer.status >= 300 else answer.get("call-id"))
            if again is None:
                self.faults.append(f"an answer nobody asked for: {answer.status}")
            elif (call := self.calls.get(answer.get("call-id"))) is not None:
                self._send(again, self._way(call.target))

    def _asked_for(self, message: Message, addr: tuple[str, int]) -> None:
        key = (message.branch, message.method)
        if message.method != "ACK" and key in self._answers:
            self._send(self._answers[key], addr)
            return
        call = self.calls.get(message.get("call-id"))
        match message.method:
            case "ACK":
                if call is not None:
                    call.acknowledged.set()
            case "INVITE" if call is not None and call.answered_at:
                theirs = read_sdp(message.body) if message.body else None
                self._respond(message, 200, "OK", call, body=self._sdp(call.sound, (call.sound.payload,)))
                if theirs is not None:
                    call.sound.start(theirs.host, theirs.port)
            case "INVITE":
                self._later(self._invited(message))
            case "BYE" if call is not None:
                self._respond(message, 200, "OK", call)
                self._later(call._end())
            case "CANCEL" if call is not None and call.invite is not None:
                self._respond(message, 200, "OK", call)
                self._respond(call.invite, 487, "Request Terminated", call)
                self._later(call._end())
            case "OPTIONS" | "NOTIFY" | "UPDATE":
                self._respond(message, 200, "OK", call)
            case "REGISTER":
                if self._let_in(message):
                    self.registered[address(message.get("to"))] = address(message.get("contact"))
                    self._respond(message, 200, "OK", call, more=(("contact", message.get("contact")),))
            case _:
                self._respond(message, 481, "Call/Transaction Does Not Exist", call)

    async def _invited(self, message: Message) -> None:
        self._respond(message, 100, "Trying", None)
        if not self._let_in(message):
            return
        local = f"{message.get('to')};tag={token()}"
        call = PhoneCall(
            self, message.get("call-id"), await _stream(self.payloads[0]), local, message.get("from"),
            address(message.get("contact")), invite=message, is_ours=False,
        )  # fmt: skip
        self.calls[call.call_id] = call
        self._incoming.put_nowait(call)

    def _let_in(self, message: Message) -> bool:
        if self._guard is None:
            return True
        call_id = message.get("call-id")
        asked = self._asked.get(call_id)
        if asked and is_right(message.get("authorization"), asked, self._guard, message.method):
            return True
        self._asked[call_id] = asked = challenge("tests")
        self._respond(message, 401, "Unauthorized", None, more=(("www-authenticate", asked),))
        return False

    def _respond(
        self, to: Message, status: int, reason: str, call: PhoneCall | None, *, body: str = "",
        more: tuple[tuple[str, str], ...] = (),
    ) -> None:  # fmt: skip
        known = parameter(to.get("to"), "tag") or status == 100
        ours = call.local if call is not None else f"{to.get('to')};tag={token()}"
        kept = ("via", "from", "to", "call-id", "cseq", "record-route")
        headers = [(n, ours if n == "to" and not known else v) for n, v in to.headers if n in kept]
        if status // 100 == 2 and to.method == "INVITE":
            headers.append(("contact", f"<{self.uri}>"))
        if body:
            headers.append(("content-type", "application/sdp"))
        data = Message((*headers, *more) if more else tuple(headers), body, status=status, reason=reason).to_bytes()
        self._answers[to.branch, to.method] = data
        host, _, port = to.get("via").split()[1].split(";")[0].partition(":")
        self._send(data, (host, int(parameter(to.get("via"), "rport") or port or 5060)))

    def _sdp(self, sound: Stream, payloads: tuple[int, ...]) -> str:
        return Sound(HOST, sound.port, payloads, sound.events).to_sdp()

    def _place(self) -> tuple[str, int]:
        if self._server is None:
            raise ValueError("this phone has no server")
        return self._server

    def _way(self, uri: str) -> tuple[str, int]:
        host, _, port = uri.partition(":")[2].rpartition("@")[2].split(";")[0].partition(":")
        return host, int(port or 5060)

    def _send(self, data: bytes, to: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, to)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)


def _with(message: Message, *headers: tuple[str, str]) -> Message:
    return replace(message, headers=(*message.headers, *headers))


def _again(message: Message, number: int, proof: tuple[str, str]) -> Message:
    """A new transaction of the same request."""
    changed = {"via": f"{message.get('via').split(';')[0]};branch={MAGIC}{token()};rport", "cseq": f"{number} {message.method}"}  # fmt: skip
    return _with(replace(message, headers=tuple((n, changed.get(n, v)) for n, v in message.headers)), proof)


async def _stream(payload: int) -> Stream:
    _, stream = await asyncio.get_running_loop().create_datagram_endpoint(Stream, local_addr=(HOST, 0))
    stream.payload = payload
    return stream


@contextlib.asynccontextmanager
async def phone(
    user: str, secret: str = "", *, server: tuple[str, int] | None = None, guard: tuple[str, str] | None = None
) -> AsyncIterator[Phone]:
    """One that listens; at the end, whatever it found wrong fails the test."""
    _, made = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Phone(user, secret, server, guard), local_addr=(HOST, 0)
    )
    try:
        yield made
    finally:
        await made.close()
    made.check()
