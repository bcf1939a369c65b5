"""Recordings of calls: sealed in the database, a plain WAV file for who may listen, gone with their conversation."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, NotFound
from graph_runtime.services.call_recordings import CallRecordings
from graph_runtime.services.call_turns import PhoneCall
from graph_runtime.services.principal import Principal
from tests.phone_world import Line, new_line, phone_flow
from voice.wav import samples

SOUND = bytes(range(256)) * 20
TALK = phone_flow(
    {"n_ask": ("ask", {"text": "Yes?", "kind": "text"}), "n_end": ("end", {})},
    {"n_start.next": "n_ask", "n_ask.answered": "n_end"},
)


@pytest.fixture
async def line(services: Services, owner: Principal) -> Line:
    return await new_line(services, owner, TALK, is_recorded=True)


@pytest.fixture
async def call(line: Line, services: Services) -> PhoneCall:
    call, _ = await line.answered()
    for part in range(3):
        await services.phone_calls.keep_part(call, part, SOUND)
    return call


async def heard(recordings: CallRecordings, who: Principal, call: PhoneCall, start: int = 0) -> bytes:
    sound = await recordings.open(who, call.uuid, is_begun=not start)
    return b"".join([piece async for piece in recordings.read(who, sound, start)])


async def test_it_is_a_wav_file_of_both_sides(call: PhoneCall, services: Services, owner: Principal) -> None:
    content = await heard(services.call_recordings, owner, call)
    assert content[58:] == SOUND * 3
    (size,) = struct.unpack_from("<I", content, 4)
    assert size == len(content) - 8
    assert len(samples(content, 8000)) == len(SOUND * 3)  # two sides of one byte, mixed to one of two bytes
    for start in (1, 57, 58, 5000, 58 + len(SOUND), len(content) - 1):
        assert await heard(services.call_recordings, owner, call, start) == content[start:]


async def test_a_part_told_twice_is_kept_once_and_attachments_follow_one_another(
    line: Line, call: PhoneCall, services: Services, owner: Principal
) -> None:
    await services.phone_calls.keep_part(call, 2, SOUND)
    again = await services.phone_calls.attach(call.uuid)
    await services.phone_calls.keep_part(again, 0, SOUND[::-1])
    assert (await heard(services.call_recordings, owner, call))[58:] == SOUND * 3 + SOUND[::-1]
    facts = (await services.phone_setup.calls(owner, call.conversation_id))[0]
    assert facts.recorded_seconds == math.ceil(len(SOUND) * 4 / 2 / 8000)


async def test_the_database_holds_nothing_that_can_be_heard(call: PhoneCall, services: Services) -> None:
    async with services.database.workspace(call.workspace_id) as connection:
        parts = await (await connection.execute("SELECT sealed FROM call_recording_part")).fetchall()
        keys = await (await connection.execute("SELECT secrets FROM call_recording")).fetchall()
    assert len(parts) == 3
    assert not any(SOUND[:64] in bytes(row["sealed"]) for row in parts)
    assert len({bytes(row["sealed"]) for row in parts}) == 3
    assert set(keys[0]["secrets"]) == {"key"}


async def test_a_renewed_key_of_the_workspace_opens_it_still(
    call: PhoneCall, services: Services, owner: Principal
) -> None:
    await services.vault.renew(call.workspace_id)
    fresh = CallRecordings(services.database, services.vault)
    assert (await heard(fresh, owner, call))[58:] == SOUND * 3


async def test_who_may_not_read_conversations_hears_nothing(
    call: PhoneCall, services: Services, owner: Principal
) -> None:
    stranger = replace(owner, scopes=frozenset({"agent.read"}))
    with pytest.raises(AccessDenied):
        await services.call_recordings.open(stranger, call.uuid)
    with pytest.raises(AccessDenied):
        await services.call_recordings.delete(replace(owner, scopes=frozenset({"conversation.read"})), call.uuid)


async def test_listening_and_deleting_stand_in_the_audit_log(
    call: PhoneCall, services: Services, owner: Principal
) -> None:
    await heard(services.call_recordings, owner, call)
    await heard(services.call_recordings, owner, call, 100)
    await services.call_recordings.delete(owner, call.uuid)
    with pytest.raises(NotFound):
        await services.call_recordings.open(owner, call.uuid)
    with pytest.raises(NotFound):
        await services.phone_calls.keep_part(call, 3, SOUND)
    async with services.database.workspace(call.workspace_id) as connection:
        rows = await (await connection.execute("SELECT action, ids FROM audit ORDER BY seq")).fetchall()
    told = [row for row in rows if row["action"].startswith("recording.")]
    assert [row["action"] for row in told] == ["recording.listened", "recording.deleted"]
    assert told[0]["ids"] == {"call": call.uuid}


async def test_it_goes_with_its_conversation(call: PhoneCall, services: Services) -> None:
    async with services.database.workspace(call.workspace_id) as connection:
        await connection.execute("DELETE FROM conversation WHERE id = %s", (call.conversation_id,))
        left = await (await connection.execute("SELECT FROM call_recording_part")).fetchall()
    assert not left
