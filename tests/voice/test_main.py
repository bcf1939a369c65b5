"""The voice process before its first call: it waits for its port, and says what it cannot do."""

from __future__ import annotations

import asyncio
import importlib
import socket
import subprocess
import sys
import uuid
from typing import Any

import pytest
from structlog.testing import capture_logs

from graph_runtime.settings import Settings
from voice import main
from voice.admission import Admission, Limits
from voice.audiosocket.server import Server
from voice.voice_activity import ModelMissing


def test_numpy_comes_after_it_was_told_to_use_one_thread() -> None:
    code = "import sys, voice.main; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "False"


async def test_a_port_that_is_taken_is_said_once_and_used_when_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "PORT_AGAIN_SECONDS", 0.02)
    server = Server(lambda _: None)
    with socket.socket() as other, capture_logs() as said:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = Settings(voice_port=port)
        opening = asyncio.create_task(main._open(server, settings, asyncio.Event()))
        async with asyncio.timeout(5):
            while not said:  # noqa: ASYNC110 (the log has no event)
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert not opening.done()
        other.close()
        assert await opening == port
    await server.close()
    assert [line["event"] for line in said] == ["no_calls"]
    assert said[0]["place"] == f"127.0.0.1:{port}"
    assert "PATCHCORD_VOICE_PORT" in said[0]["advice"]


async def test_a_spare_takes_the_port_at_once() -> None:
    server = Server(lambda _: None)
    with socket.socket() as other, capture_logs() as said:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = Settings(voice_port=port, voice_has_spare=True)
        opening = asyncio.create_task(main._open(server, settings, asyncio.Event()))
        async with asyncio.timeout(5):
            while not said:  # noqa: ASYNC110 (the log has no event)
                await asyncio.sleep(0.01)
        assert not opening.done()
        other.close()
        async with asyncio.timeout(main.PORT_AGAIN_SECONDS):
            assert await opening == port
    await server.close()
    assert [line["event"] for line in said] == ["voice_spare"]


async def test_a_process_that_is_stopped_while_its_port_is_taken_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    server, stop = Server(lambda _: None), asyncio.Event()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        opening = asyncio.create_task(main._open(server, Settings(voice_port=other.getsockname()[1]), stop))
        stop.set()
        async with asyncio.timeout(5):
            assert await opening is None
    await server.close()


class Stranger:
    """A connection that has not said which call it is."""

    is_attached = False
    is_held = True


async def test_connections_that_are_no_calls_yet_are_limited() -> None:
    board = main.Switchboard(lambda: pytest.fail("nobody is let in"), Admission(Limits(calls=2)))
    strangers: Any = {Stranger() for _ in range(2)}
    board.calls.update(strangers)
    with capture_logs() as said:
        assert board.admit(uuid.uuid4()) is None
    assert said[0]["reason"] == "too many unknown calls"


async def test_a_process_that_cannot_hear_leaves_calls_to_the_telephone_system() -> None:
    def furnish() -> Any:
        raise ModelMissing("The model is not installed.")

    board = main.Switchboard(furnish, Admission(Limits(calls=10)))
    with capture_logs() as said:
        assert board.admit(uuid.uuid4()) is None
    assert said[0]["reason"] == "The model is not installed."
    assert not board.calls


async def test_what_cannot_be_prepared_is_said_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "_load", lambda: importlib.import_module("no_such_module"))
    board: Any = object()
    with capture_logs() as said:
        await main._warm(board, board)
    assert [line["event"] for line in said] == ["voice_not_prepared"]
