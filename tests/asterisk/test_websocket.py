"""A real Asterisk's WebSocket channel and ours: sound both ways, keys, a hang-up of each side, and a server that is not there.

Left out unless `PATCHCORD_ASTERISK` names one that has `chan_websocket`.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from uuid import uuid4

import pytest

from tests.asterisk.real import PASSWORD, PROGRAM, asterisk
from tests.asterisk.sip_phone import phone
from tests.ports import free_port
from tests.voice.test_websocket import Ears
from tests.voice.voice_world import until
from voice.audiosocket.server import Server
from voice.websocket.protocol import Decoder

pytestmark = [
    pytest.mark.skipif(not PROGRAM, reason="PATCHCORD_ASTERISK names no Asterisk"),
    pytest.mark.timeout(120),
]
DIALPLAN = """
[from-phones]
exten => 700,1,Answer()
 same => n,Dial(WebSocket/patchcord/c(slin)v(uuid={uuid}),,g)
 same => n,Set(GLOBAL(WENT_ON)={uuid})
 same => n,Wait(2)
 same => n,Hangup()
"""


async def test_calls_over_a_websocket(tmp_path: Path) -> None:
    port = free_port()
    ears = Ears()
    known = {uuid4() for _ in range(3)}
    server = Server(lambda call_id: ears if call_id in known else None, wire=Decoder)
    await server.open("127.0.0.1", port)
    async with (
        asterisk(tmp_path, PATCHCORD_PHONE_WEBSOCKET=f"127.0.0.1:{port}") as pbx,
        phone("100", PASSWORD, server=pbx.sip) as ours,
    ):

        async def went_on(uuid: object) -> None:
            async with asyncio.timeout(10):
                while str(uuid) not in await pbx.command("dialplan show globals"):
                    pass  # asking takes its time

        first, second, third = known
        await pbx.take(DIALPLAN.format(uuid=first))
        call = await ours.call("700")
        await until(ears.is_open.is_set)
        line = ears.line
        assert line is not None
        assert line.format.rate == 8000
        loud = b"\x00\x20\x00\xe0" * 80
        for _ in range(100):
            line.speak(loud)
            await asyncio.sleep(0.02)
        call.sound.press("5#")
        await until(lambda: ears.digits == "5#")
        assert len(ears.audio) > 8000 * 2, "a second of the caller's sound"
        figures = call.sound.heard.figures()
        if os.environ.get("PATCHCORD_FIGURES"):
            print(figures)
        assert figures.packets >= 100
        line.end()  # given back: the dialplan goes on
        await went_on(first)
        assert ears.reason == "ended"
        await call.hang_up()

        ears.is_open.clear()
        ears.is_closed.clear()
        await pbx.take(DIALPLAN.format(uuid=second))
        call = await ours.call("700")
        await until(ears.is_open.is_set)
        await call.hang_up()  # the caller's end
        await until(ears.is_closed.is_set)
        assert ears.reason == "hangup"

        server.stop_listening()
        await pbx.take(DIALPLAN.format(uuid=third))
        call = await ours.call("700")
        await went_on(third)  # a server that is not there ends no call
        await call.hang_up()
    await server.close()
