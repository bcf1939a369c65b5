"""Transfers that we begin in a real Asterisk, by its manager and by its REST interface, and a language that changes in a call.

Left out unless `PATCHCORD_ASTERISK` names its program.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest
import websockets

from graph_runtime.bootstrap import Services
from graph_runtime.services.call_moving import CallMoving
from graph_runtime.services.call_turns import PhoneCall
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address
from tests.asterisk.real import PROGRAM, SECRET, Asterisk, asterisk
from tests.asterisk.test_real_asterisk import PEOPLE, address, flow, voice  # noqa: F401 (fixtures)
from tests.phone_world import Line, new_line
from tests.services.test_call_language import SWITCHES
from tests.voice.voice_world import VoiceProcess, until

pytestmark = pytest.mark.skipif(not PROGRAM, reason="PATCHCORD_ASTERISK names no Asterisk")
REST_PASSWORD = "of-the-rest"
CALLERS = """
[callers]
exten => quiet,1,Wait(60)
exten => two,1,Wait(3)
 same => n,SendDTMF(2)
 same => n,Wait(60)

[held]
exten => s,1,Stasis(site)
 same => n,Hangup()
"""


@pytest.fixture
async def pbx(tmp_path: Path) -> AsyncIterator[Asterisk]:
    async with asterisk(tmp_path, PATCHCORD_REST_PASSWORD=REST_PASSWORD) as running:
        yield running


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each transfer: whether it was we who moved the call."""
    found: list[bool] = []
    begin = CallMoving.begin

    async def watched(self: CallMoving, call: PhoneCall) -> bool:
        found.append(await begin(self, call))
        return found[-1]

    monkeypatch.setattr(CallMoving, "begin", watched)
    return found


@dataclass
class World:
    services: Services
    owner: Principal
    address: Address
    pbx: Asterisk
    voice: VoiceProcess

    async def line(self, document: dict[str, object], **settings: Any) -> Line:
        line = await new_line(
            self.services, self.owner, document, manager_address=self.pbx.manager, manager_secret=SECRET,
            ari_address=self.pbx.rest, ari_password=REST_PASSWORD, dial_template="Local/{number}@people", **settings,
        )  # fmt: skip
        setup = self.services.phone_setup
        more = {"phone_url": self.address.http, "phone_audio": f"127.0.0.1:{self.voice.port}"}
        setup._settings = setup._settings.model_copy(update=more)
        await self.pbx.take(setup.dialplan(self.owner, line.secret) + PEOPLE + CALLERS)
        return line

    async def ends(self, line: Line, admin: Any, result: str) -> None:
        """Until the transfer is known to have ended so, and the agent has the call again unless somebody took it."""
        async with asyncio.timeout(30):
            while True:
                row = admin.execute("SELECT transfer_result FROM phone_call WHERE channel_id = %s", (line.channel_id,))
                if row.fetchone() == (result,) and (result == "answered" or self.voice.switchboard.calls):
                    break
                await asyncio.sleep(0.05)
        if result != "answered":
            await until(lambda: any(c.turns.waits for c in self.voice.switchboard.calls))
            assert len(self.voice.switchboard.calls) == 1, "the agent goes on in the same call"
        await self.pbx.command("channel request hangup all")
        await until(lambda: not self.voice.switchboard.calls)

    def trouble(self) -> list[str]:
        """What Asterisk complains of besides our two desks and the channels that we hung up."""
        known = ("register extension", "Failed to receive frame from channel")
        return [line for line in self.pbx.trouble() if not any(word in line for word in known)]


@pytest.fixture
def world(
    services: Services,
    owner: Principal,
    address: Address,  # noqa: F811 (a fixture)
    pbx: Asterisk,
    voice: VoiceProcess,  # noqa: F811 (a fixture)
) -> World:
    return World(services, owner, address, pbx, voice)


@pytest.mark.parametrize(("target", "is_warm", "result"), [("busy", False, "busy"), ("away", False, "no_answer"),
                                                           ("takes", True, "answered"), ("declines", True, "declined")])  # fmt: skip
async def test_the_manager_moves_calls(
    world: World, admin: Any, moves: list[bool], target: str, is_warm: bool, result: str
) -> None:
    line = await world.line(flow(target, is_warm=is_warm), moves_by="manager")
    await world.pbx.command("channel originate Local/s@patchcord extension quiet@callers")
    await world.ends(line, admin, result)
    assert moves == [True]
    assert world.trouble() == []


@dataclass
class Application:
    """What a site has of its own: it holds a caller, brings the sound to us, and lets go when the caller leaves."""

    pbx: Asterisk
    announces: str
    """The address of the line at our door."""
    sound: str
    http: httpx2.AsyncClient
    left: list[str] = field(default_factory=list)
    _bridges: dict[str, str] = field(default_factory=dict)

    async def post(self, path: str, **query: str) -> None:
        answer = await self.http.post(f"{self.pbx.rest}/{path}", params=query)
        assert answer.status_code < 300, (path, answer.text)

    async def run(self) -> None:
        """Until it is cancelled."""
        where = f"{self.pbx.rest.replace('http', 'ws', 1)}/events?app=site&api_key=patchcord:{quote(REST_PASSWORD)}"
        async with websockets.connect(where) as events:
            async for text in events:
                event = json.loads(text)
                channel = event.get("channel", {}).get("id", "")
                if event["type"] == "StasisStart" and not channel.startswith("sound-"):
                    await self._takes(channel)
                elif event["type"] == "StasisStart":
                    # The sound is up now, and not before: bridged earlier, both would hear nothing.
                    caller = self._bridges[channel.removeprefix("sound-")]
                    await self.post(f"bridges/with-{caller}/addChannel", channel=f"{caller},{channel}")
                elif event["type"] == "StasisEnd" and channel in self._bridges.values():
                    uuid = next(u for u, c in self._bridges.items() if c == channel)
                    self.left.append(channel)
                    await self.http.delete(f"{self.pbx.rest}/bridges/with-{channel}")
                    await self.http.delete(f"{self.pbx.rest}/channels/sound-{uuid}")

    async def _takes(self, channel: str) -> None:
        uuid = str(uuid4())
        self._bridges[uuid] = channel
        await self.post(f"channels/{channel}/answer")
        told = {"uuid": uuid, "from": "+380441234567", "did": "100", "channel": channel}
        assert (await self.http.get(f"{self.announces}/announce", params=told)).text.strip() == "ok"
        await self.post(f"channels/{channel}/variable", variable="CALL", value=uuid)
        await self.post("bridges", type="mixing", bridgeId=f"with-{channel}")
        await self.post(
            "channels/externalMedia", app="site", channelId=f"sound-{uuid}", external_host=self.sound, data=uuid,
            encapsulation="audiosocket", transport="tcp", connection_type="client", format="slin",
        )  # fmt: skip


@contextlib.asynccontextmanager
async def holding(world: World, line: Line) -> AsyncIterator[Application]:
    """A running one."""
    sound = f"127.0.0.1:{world.voice.port}"
    async with httpx2.AsyncClient(auth=("patchcord", REST_PASSWORD)) as http:
        site = Application(world.pbx, f"{world.address.http}/phone/{line.secret}", sound, http)
        running = asyncio.create_task(site.run())
        async with asyncio.timeout(10):
            while "site" not in await world.pbx.command("ari show apps"):
                assert not running.done(), running.exception()
        try:
            yield site
            assert not running.done(), running.exception()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(("target", "result"), [("busy", "busy"), ("takes", "answered")])
async def test_rest_moves_calls_that_an_application_holds(
    world: World, admin: Any, moves: list[bool], target: str, result: str
) -> None:
    line = await world.line(flow(target, is_warm=result == "answered"), moves_by="rest")
    async with holding(world, line) as site:
        await world.pbx.command("channel originate Local/s@held extension quiet@callers")
        await world.ends(line, admin, result)
        assert len(site.left) == 1
    assert moves == [True]
    assert world.trouble() == []
    async with asyncio.timeout(10):
        while await world.pbx.channels():
            pass  # asking takes its time


async def test_rest_cannot_move_what_no_application_holds_and_the_dialplan_asks(
    world: World, admin: Any, moves: list[bool]
) -> None:
    line = await world.line(flow("busy"), moves_by="rest")
    await world.pbx.command("channel originate Local/s@patchcord extension quiet@callers")
    await world.ends(line, admin, "busy")
    assert moves == [False]


async def test_the_language_changes_within_a_call(world: World) -> None:
    await world.line(SWITCHES, voice_uk="Olena", voice_en="Ann")
    talks: Any = (await world.voice.house.speech(None)).synthesizer  # type: ignore[arg-type]
    await world.pbx.command("channel originate Local/s@patchcord extension two@callers")
    await until(lambda: any("Як вас звати?" in text for text in talks.texts), 30)
    (call,) = world.voice.switchboard.calls
    await until(lambda: call.listen.languages == ("uk",))
    told = dict(zip(talks.texts, talks.languages, strict=True))
    assert told["Fine."] == "en"
    assert {told[text] for text in talks.texts if "номер" in text or "звати" in text} == {"uk"}
    assert call._dialogue is not None
    assert call._dialogue.language == "uk"
    await world.pbx.command("channel request hangup all")
    await until(lambda: not world.voice.switchboard.calls)
