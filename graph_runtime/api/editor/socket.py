"""One editor tab's socket: batches in, acknowledgements, patches, problems and test events out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from graph_runtime.api.access import services_of, session_cookie
from graph_runtime.api.editor.rooms import Batch, Editor, Frame, Rooms
from graph_runtime.api.editor.test_run import TestRun
from graph_runtime.api.errors import SENTENCES, members_of
from graph_runtime.api.metrics import SOCKETS
from graph_runtime.contract.edits import EDITS, Edit
from graph_runtime.contract.errors import AccessDenied, BuilderError, Conflict, NotFound, NotSignedIn

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

SESSION_TRUSTED_SECONDS: Final = 30.0
SIGN_IN_AGAIN: Final = 4401, "Your session has ended. Sign in again; your changes are kept in this browser."
NOT_ALLOWED: Final = 4403, "You may not open this flow."
NO_SUCH_FLOW: Final = 4404, "This flow does not exist any more."
TOO_SLOW: Final = 4408, "The connection is too slow; connect again."

log = structlog.get_logger(__name__)


class _Frame(BaseModel):
    model_config = ConfigDict(extra="ignore")


class EditsFrame(_Frame):
    """{"t": "edits"}: one batch."""

    client: str = Field(min_length=1, max_length=80)
    seq: int = Field(ge=1, le=2**53)
    base: int = Field(ge=0, le=2**53)
    edits: list[Edit] = Field(min_length=1, max_length=5000)


class TestStartFrame(_Frame):
    """{"t": "test_start"}."""

    __test__ = False
    language: str | None = Field(default=None, max_length=3)
    contact: dict[str, Any] = Field(default_factory=dict)
    is_call: bool = False
    is_talk: bool = False


class TestSayFrame(_Frame):
    """{"t": "test_say"}."""

    __test__ = False
    client_id: str = Field(min_length=1, max_length=80)
    text: str = Field(default="", max_length=64_000)
    option_id: str = Field(default="", max_length=100)


class TestPersonFrame(_Frame):
    """{"t": "test_person"}: the tester plays the colleague. `text`: what they say, or the note they give it back with."""

    __test__ = False
    do: Literal["accept", "reply", "return"]
    text: str = Field(default="", max_length=4000)
    client_id: str = Field(min_length=1, max_length=80)


class Closed(Exception):
    """The socket has to be closed with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class EditorSocket:
    """The conversation with one tab, from the accepted handshake to the close."""

    def __init__(self, socket: WebSocket, rooms: Rooms, flow_id: str) -> None:
        self._socket = socket
        self._services = services_of(socket)
        self._rooms = rooms
        self._flow_id = flow_id
        self._who: Principal | None = None
        self._checked_at = 0.0
        self._editor = Editor("", "en")
        self._test: TestRun | None = None
        self._handlers: dict[str, Callable[[Frame], Awaitable[None]]] = {
            "edits": self._edits,
            "ping": self._ping,
            "present": self._present,
            "test_start": self._test_start,
            "test_say": self._test_say,
            "test_skip": self._test_skip,
            "test_person": self._test_person,
            "test_stop": self._test_stop,
        }

    async def run(self) -> None:
        """Serve the tab until it leaves or may no longer be here."""
        try:
            await self._serve()
        except Closed as closed:
            if self._socket.application_state is not WebSocketState.DISCONNECTED:
                await self._socket.close(closed.code, closed.reason)
        except WebSocketDisconnect:
            pass

    async def _serve(self) -> None:
        try:
            who = await self._principal()
            me = await self._services.accounts.me(who)
            draft = await self._services.drafts.open(who, self._flow_id)
        except NotFound:
            raise Closed(*NO_SUCH_FLOW) from None
        except AccessDenied:
            raise Closed(*NOT_ALLOWED) from None
        self._editor = Editor(me.name, me.language or "en", draft.revision)
        self._test = TestRun(self._services, (self._flow_id, draft.agent_id), me.language or "en", self._editor.tell)
        self._editor.tell({"t": "hello", "rev": draft.revision})
        with SOCKETS.labels("editor").track_inprogress():
            try:
                async with self._rooms.entered(self._flow_id, self._editor):
                    await _first_to_end(self._read(), self._write(), self._watch_session())
            finally:
                await self._test.leave()

    async def _read(self) -> None:
        while True:
            text = await self._socket.receive_text()
            try:
                frame = json.loads(text)
                handle = self._handlers[frame["t"]]
            except (ValueError, KeyError, TypeError, RecursionError):
                self._refuse(None, "bad_frame", "This message cannot be read; reload the page.")
                continue
            await handle(frame)

    async def _write(self) -> None:
        while (frame := await self._editor.frames.get()) is not None:
            await self._socket.send_text(json.dumps(jsonable_encoder(frame), ensure_ascii=False))
        raise Closed(*TOO_SLOW)

    async def _watch_session(self) -> None:
        while True:
            await asyncio.sleep(SESSION_TRUSTED_SECONDS)
            await self._principal()

    async def _principal(self) -> Principal:
        """The member, looked up again when the last look is older than 30 seconds. Raises: Closed."""
        now = time.monotonic()
        if self._who is None or now - self._checked_at >= SESSION_TRUSTED_SECONDS:
            try:
                self._who = await self._services.accounts.principal(session_cookie(self._socket))
            except NotSignedIn:
                raise Closed(*SIGN_IN_AGAIN) from None
            self._checked_at = now
        return self._who

    async def _edits(self, frame: Frame) -> None:
        seq = frame.get("seq")
        try:
            batch = EditsFrame.model_validate(frame)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            self._refuse(seq, "input_invalid", f"This change cannot be read at “{where}”: {first['msg']}.")
            return
        self._editor.client = batch.client
        who = await self._principal()
        try:
            applied = await self._rooms.save(
                who, self._flow_id, Batch(batch.client, batch.seq, batch.base, batch.edits), by=self._editor.name
            )
        except Conflict as error:
            self._conflict(seq, error)
            return
        except NotFound:
            raise Closed(*NO_SUCH_FLOW) from None
        except BuilderError as error:
            self._refuse(seq, error.code, error.message, **members_of(error))
            return
        except Exception as error:
            # A batch that breaks us must not take the tab's other work with it.
            log.error("a batch of edits failed", exc_info=error)
            self._refuse(seq, "error", SENTENCES[500][1])
            return
        missed = applied.others if self._editor.revision < applied.revision - 1 and not applied.repeated else ()
        if missed or applied.added:
            edits = EDITS.dump_python([*missed, *applied.added], mode="json")
            self._editor.tell({"t": "patch", "rev": applied.revision, "edits": edits, "by": ""})
        self._editor.revision = max(self._editor.revision, applied.revision)
        self._editor.tell({"t": "saved", "seq": applied.seq, "rev": applied.revision})

    def _conflict(self, seq: Any, error: Conflict) -> None:
        members = members_of(error)
        if "flow" not in members:
            self._refuse(seq, error.code, error.message, **members)
            return
        self._editor.revision = members["revision"]
        self._editor.tell(
            {
                "t": "conflict",
                "seq": seq,
                "rev": members["revision"],
                "paths": members["paths"],
                "flow": members["flow"],
            }
        )

    async def _ping(self, _: Frame) -> None:
        self._editor.tell({"t": "pong"})

    async def _present(self, frame: Frame) -> None:
        """Which step the person looks at is not shown to others yet; the frame is part of the protocol already."""

    async def _test_start(self, frame: Frame) -> None:
        async def act(who: Principal, test: TestRun) -> None:
            wish = TestStartFrame.model_validate(frame)
            await test.start(
                who, language=wish.language, contact=wish.contact, is_call=wish.is_call, is_talk=wish.is_talk
            )

        await self._tested(act)

    async def _test_say(self, frame: Frame) -> None:
        async def act(who: Principal, test: TestRun) -> None:
            said = TestSayFrame.model_validate(frame)
            await test.say(who, client_id=said.client_id, text=said.text, option_id=said.option_id)

        await self._tested(act)

    async def _test_skip(self, frame: Frame) -> None:
        async def act(who: Principal, test: TestRun) -> None:
            await test.skip(who, happens=frame.get("happens") is True)

        await self._tested(act)

    async def _test_person(self, frame: Frame) -> None:
        async def act(who: Principal, test: TestRun) -> None:
            played = TestPersonFrame.model_validate(frame)
            await test.play_person(who, played.do, played.text, played.client_id)

        await self._tested(act)

    async def _test_stop(self, _: Frame) -> None:
        async def act(who: Principal, test: TestRun) -> None:
            await test.stop(who)

        await self._tested(act)

    async def _tested(self, act: Callable[[Principal, TestRun], Awaitable[None]]) -> None:
        assert self._test is not None
        try:
            await act(await self._principal(), self._test)
        except BuilderError as error:
            self._test.tell_error(error)
        except ValidationError:
            self._refuse(None, "input_invalid", "This message to the test cannot be read; reload the page.")

    def _refuse(self, seq: Any, code: str, message: str, **more: Any) -> None:
        self._editor.tell({**more, "t": "rejected", "seq": seq, "code": code, "message": message})


async def _first_to_end(*parts: Awaitable[None]) -> None:
    """Run all until one ends or raises, cancel the rest, and raise what it raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
