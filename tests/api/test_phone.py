"""What a dialplan asks over HTTP: the secret, the network rule, limits, and one call from ringing to its end."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx2
import pytest

from graph_runtime.api.routes.phone import WRONG_SECRETS, is_inside
from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import Begin, HangUp, Transfer
from graph_runtime.contract.errors import Conflict
from graph_runtime.settings import Settings
from tests.api.conftest import Address, Member
from tests.phone_world import Line, new_line, phone_flow

MOVING = phone_flow(
    {
        "n_hello": ("send_message", {"text": "One moment."}),
        "n_move": ("transfer_call", {"target": "+49 30 1234", "ring_seconds": 25}),
        "n_busy": ("end", {"text": "All lines are busy.", "result": "busy"}),
        "n_done": ("end", {"result": "transferred"}),
    },
    {
        "n_start.next": "n_hello", "n_hello.next": "n_move", "n_move.answered": "n_done", "n_move.busy": "n_busy",
        "n_move.no_answer": "n_busy", "n_move.error": "n_busy",
    },
)  # fmt: skip


@pytest.fixture
async def line(services: Services, ann: Member) -> Line:
    return await new_line(services, ann.who, MOVING, dial_template="PJSIP/{number}@trunk")


async def ask(client: httpx2.AsyncClient, secret: str, what: str, **query: Any) -> tuple[int, str]:
    answer = await client.get(f"/phone/{secret}/{what}", params=query)
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.status_code, answer.text


async def test_a_call_is_announced_moved_and_hung_up(anonymous: httpx2.AsyncClient, line: Line) -> None:
    calls, uuid = line.services.phone_calls, str(uuid4())
    numbers = {"from": "+380 44 1", "did": "4930"}
    assert await ask(anonymous, line.secret, "announce", uuid=uuid, **numbers) == (200, "ok")
    call = await calls.attach(uuid)
    assert (call.from_number, call.did) == ("+380441", "4930")
    turn = await line.turn(call, Begin())
    assert (turn.said, turn.end) == (["One moment."], Transfer(target="+49301234", ring_seconds=25))
    assert await ask(anonymous, line.secret, "next", uuid=uuid) == (200, "wait")
    await calls.let_go(call)
    assert await ask(anonymous, line.secret, "next", uuid=uuid) == (200, "transfer|PJSIP/+49301234@trunk|25")
    assert await ask(anonymous, line.secret, "next", uuid=uuid) == (200, "transfer|PJSIP/+49301234@trunk|25")
    assert await ask(anonymous, line.secret, "next", uuid=uuid, dialed="BUSY") == (200, "again")
    back = await calls.attach(uuid)
    turn = await line.turn(back, Begin())
    assert (turn.said, type(turn.end)) == (["All lines are busy."], HangUp)
    assert await ask(anonymous, line.secret, "hangup", uuid=uuid, cause="17") == (200, "ok")
    assert await ask(anonymous, line.secret, "next", uuid=uuid) == (200, "hangup")
    row = await calls._rows.get(call.workspace_id, uuid, call.channel_id)
    assert row is not None
    assert (row["state"], row["cause"], row["transfer_result"], row["moves"]) == ("ended", 17, "busy", 1)


async def test_an_answered_transfer_ends_the_conversation(anonymous: httpx2.AsyncClient, line: Line) -> None:
    call, _ = await line.answered()
    await line.services.phone_calls.let_go(call)
    await ask(anonymous, line.secret, "next", uuid=call.uuid)
    assert await ask(anonymous, line.secret, "next", uuid=call.uuid, dialed="ANSWER") == (200, "hangup")
    assert await line.status(call) == ("ended", "transferred")


async def test_the_caller_may_hang_up_while_talking_to_the_operator(anonymous: httpx2.AsyncClient, line: Line) -> None:
    """Then Dial never returns to the dialplan, and only the hang-up tells that it was answered."""
    call, _ = await line.answered()
    await line.services.phone_calls.let_go(call)
    await ask(anonymous, line.secret, "next", uuid=call.uuid)
    await ask(anonymous, line.secret, "hangup", uuid=call.uuid, cause="16", dialed="ANSWER")
    assert await line.status(call) == ("ended", "transferred")


async def test_a_transfer_that_came_back_without_a_word_was_not_answered(
    anonymous: httpx2.AsyncClient, line: Line
) -> None:
    call, _ = await line.answered()
    await line.services.phone_calls.let_go(call)
    await ask(anonymous, line.secret, "next", uuid=call.uuid)
    back = await line.services.phone_calls.attach(call.uuid)
    turn = await line.turn(back, Begin())
    assert (turn.said, type(turn.end)) == (["All lines are busy."], HangUp)


async def test_what_does_not_fit_is_refused_with_one_word(anonymous: httpx2.AsyncClient, line: Line) -> None:
    uuid = str(uuid4())
    assert await ask(anonymous, line.secret, "announce", uuid="7") == (422, "input_invalid")
    assert await ask(anonymous, "wrong" * 11, "announce", uuid=uuid) == (404, "not_found")
    assert await ask(anonymous, line.secret[:-1] + "~", "announce", uuid=uuid) == (404, "not_found")
    for what in ("next", "hangup"):
        assert await ask(anonymous, line.secret, what, uuid=uuid) == (404, "not_found")
    await line.services.agents.set_on(line.owner, line.agent_id, False)
    assert await ask(anonymous, line.secret, "announce", uuid=uuid) == (409, "agent_off")


async def test_whom_nobody_can_hold_is_sent_to_the_desk(anonymous: httpx2.AsyncClient, line: Line) -> None:
    early, late, process = str(uuid4()), str(uuid4()), line.services.conversation_side.instance
    assert await ask(anonymous, line.secret, "announce", uuid=early) == (200, "ok")
    await process.takes_calls("calls")
    assert await ask(anonymous, line.secret, "announce", uuid=late) == (409, "desk")
    with pytest.raises(Conflict):
        await line.services.phone_calls.attach(early, "calls")
    for uuid in (early, late):
        assert await ask(anonymous, line.secret, "next", uuid=uuid) == (200, "desk")


async def test_guessing_secrets_is_slowed_down(anonymous: httpx2.AsyncClient, line: Line) -> None:
    codes = [(await ask(anonymous, f"{n:054}", "next", uuid=str(uuid4())))[0] for n in range(WRONG_SECRETS[0] + 1)]
    assert codes == [404] * WRONG_SECRETS[0] + [429]
    assert (await ask(anonymous, line.secret, "announce", uuid=str(uuid4()))) == (200, "ok")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
async def test_through_a_proxy_nothing_is_told(anonymous: httpx2.AsyncClient, line: Line, header: str) -> None:
    answer = await anonymous.get(f"/phone/{line.secret}/next?uuid={uuid4()}", headers={header: "10.0.0.1"})
    assert (answer.status_code, answer.json()["code"]) == (403, "access_denied")


async def test_networks_that_are_not_allowed_get_nothing(
    anonymous: httpx2.AsyncClient, line: Line, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = address.app.state.services.settings.model_copy(update={"phone_networks": ("10.1.0.0/16",)})
    monkeypatch.setitem(address.app.state.services.__dict__, "settings", narrow)
    answer = await anonymous.get(f"/phone/{line.secret}/announce?uuid={uuid4()}")
    assert answer.status_code == 403


def test_which_networks_are_inside() -> None:
    usual = Settings().phone_networks
    for address in ("127.0.0.1", "10.2.3.4", "172.20.0.5", "192.168.1.9", "::1", "fd00::1", "::ffff:10.0.0.1"):
        assert is_inside(address, usual), address
    for address in ("8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8", "", "unknown"):
        assert not is_inside(address, usual), address
