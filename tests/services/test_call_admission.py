"""Who could hold a new call: voice processes as they stand, and accounts of speech that rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from uuid import uuid4

import psycopg
import pytest

from connectors.offline_speech import speech as offline
from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import Begin
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.errors import Conflict, ConnectorError, InputInvalid, RateLimited, TooMany
from graph_runtime.contract.speech import SpeakRequest
from graph_runtime.services.bound_speech import BoundSpeech
from graph_runtime.services.call_admission import CallAdmission
from graph_runtime.services.principal import Principal
from graph_runtime.services.speech_rest import LONGEST_REST, Account, SpeechRest
from graph_runtime.storage.instance import Instance
from tests.connectors.speech_wires import hear, numbers
from tests.fakes.asterisk_manager import managing
from tests.fakes.google_speech import GoogleSpeech, serving
from tests.phone_world import FROM, Line, new_line
from tests.services.test_calls_out import GREETING, line_to
from tests.voice.machines import Seconds

Admin = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
async def line(services: Services, owner: Principal) -> Line:
    return await new_line(services, owner, GREETING, most_calls=2)


@pytest.fixture
def google() -> Iterator[GoogleSpeech]:
    with serving() as fake:
        yield fake


async def announced(line: Line, uuid: str = "") -> str:
    """What the dialplan is told."""
    try:
        await line.ring(uuid)
    except Conflict as error:
        return str(error.params["reason"])
    return "ok"


async def outcome(line: Line) -> str:
    """Of the newest call in the log."""
    return (await line.services.call_log.list(line.owner)).rows[0].outcome


@pytest.mark.parametrize(
    ("states", "refuses"),
    [
        ([], ""), ([""], ""), (["calls"], "calls"), (["processor"], "processor"), (["lag"], "lag"),
        (["calls", ""], ""), (["lag", "calls", "calls"], "calls"),
    ],
)  # fmt: skip
async def test_one_process_that_lets_calls_in_is_enough(
    services: Services, line: Line, states: list[str], refuses: str
) -> None:
    admission = CallAdmission(services.database, services.speech)
    async with AsyncExitStack() as stack:
        for state in states:
            process = Instance(services.database.dedicated)
            await process.open()
            stack.push_async_callback(process.close)
            await process.takes_calls(state)
        assert await admission.refuses(line.owner.workspace_id, line.agent_id) == refuses
        assert await announced(line) == ("desk" if refuses else "ok")
    async with asyncio.timeout(10):  # processes that are gone do not count; the server notices a little later
        while await admission.refuses(line.owner.workspace_id, line.agent_id):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_process_shows_one_state_at_a_time_and_again_in_a_new_session(services: Services, line: Line) -> None:
    admission, process = CallAdmission(services.database, services.speech), Instance(services.database.dedicated)
    await process.open()
    try:
        for state in ("", "calls", "calls", "lag"):
            await process.takes_calls(state)
            assert await admission.refuses(line.owner.workspace_id, line.agent_id) == state
        assert process._connection is not None
        await process._connection.close()
        async with asyncio.timeout(10):
            while await admission.refuses(line.owner.workspace_id, line.agent_id) != "lag":  # noqa: ASYNC110 (a lost session tells nobody)
                await asyncio.sleep(0.05)
        await process.takes_calls(None)
        assert await admission.refuses(line.owner.workspace_id, line.agent_id) == ""
    finally:
        await process.close()


async def test_a_call_that_is_told_twice_is_decided_once(services: Services, line: Line) -> None:
    taken, refused = str(uuid4()), str(uuid4())
    assert await announced(line, taken) == "ok"
    await services.conversation_side.instance.takes_calls("calls")
    assert [await announced(line, uuid) for uuid in (taken, refused, refused)] == ["ok", "desk", "desk"]
    await services.conversation_side.instance.takes_calls("")
    assert await announced(line, refused) == "desk"
    assert await services.phone_calls.next(line.secret, refused) == "desk"
    await services.phone_calls.hung_up(line.secret, refused, 16)
    assert await services.phone_calls.next(line.secret, refused) == "hangup"
    assert await outcome(line) == "full"
    with pytest.raises(InputInvalid):
        await line.ring(refused)


async def test_a_line_that_is_full_is_in_the_log_too(line: Line) -> None:
    assert [await announced(line) for _ in range(3)] == ["ok", "ok", "full"]
    assert await outcome(line) == "full"


async def test_calls_that_never_brought_audio_give_their_place_back(line: Line, admin: Admin) -> None:
    """As after an outage in which callers reached the desk and an older dialplan told nobody."""
    talking, _ = await line.answered()
    await line.ring()
    admin.execute("UPDATE phone_call SET started_at = now() - interval '9 minutes'")
    assert await announced(line) == "full"
    admin.execute("UPDATE phone_call SET started_at = now() - interval '11 minutes'")
    assert [await announced(line), await announced(line)] == ["ok", "full"]
    assert (await line.turn(talking, "Ann")).said == ["Thank you."], "a long talk is none of them"


async def test_nobody_is_rung_whom_nobody_could_talk_to(services: Services, owner: Principal) -> None:
    async with managing(holds=asyncio.Event()) as manager:
        line = await line_to(services, owner, manager)
        out = services.calls_out
        first = await out.place(owner, line.channel_id, FROM, key="first")
        await services.conversation_side.instance.takes_calls("processor")
        assert (await out.place(owner, line.channel_id, FROM, key="first")).id == first.id
        with pytest.raises(TooMany):
            await out.place(owner, line.channel_id, FROM, key="second")
        await out.answered(line.secret, first.id, is_machine=False)
        call = await services.phone_calls.attach(first.id, "processor")
        assert (await line.turn(call, Begin())).said == ["Hello, who is there?"], "whom we have rung is talked to"
        assert manager.holds is not None
        manager.holds.set()


# Speech


async def google_for(line: Line, google: GoogleSpeech, slot: str) -> str:
    """The agent depends on Google for this; the credential."""
    values = {"key": google.account, "base_url": google.url, "voice_url": google.url}
    credential = await line.services.credentials.create(line.owner, "google_speech", "G", values)
    await line.services.agents.bind(
        line.owner, line.agent_id, slot, credential_id=credential.id, connector="google_speech", model=""
    )
    return credential.id


@pytest.fixture
async def quick_end(services: Services) -> AsyncIterator[None]:
    yield
    await services.speech.close()


async def listen(line: Line) -> None:
    """One utterance of a call. Raises: ConnectorError."""
    speech = line.services.speech
    chosen = await speech.transcriber(line.owner.workspace_id, line.agent_id)
    try:
        await hear(chosen.transcriber, numbers(1, 3))
    finally:
        await speech._rest.close()


@pytest.mark.usefixtures("quick_end")
async def test_a_recogniser_without_quota_sends_calls_to_the_desk_until_its_pause_is_over(
    line: Line, google: GoogleSpeech, admin: Admin
) -> None:
    credential_id = await google_for(line, google, "transcriber")
    await listen(line)
    assert await announced(line) == "ok"
    google.fault = "rate_limited"
    with pytest.raises(RateLimited):
        await listen(line)
    assert await announced(line) == "desk"
    assert await outcome(line) == "no_speech"
    found = admin.execute("SELECT extract(epoch FROM hears_again_at - now())::float FROM credential").fetchone()
    assert found is not None
    assert 0 < float(str(found[0])) <= google.retry_seconds
    admin.execute("UPDATE credential SET hears_again_at = now() WHERE id = %s", (credential_id,))
    assert await announced(line) == "ok"


@pytest.mark.usefixtures("quick_end")
async def test_a_new_key_is_not_blamed_for_the_former_one(line: Line, google: GoogleSpeech) -> None:
    credential_id = await google_for(line, google, "transcriber")
    google.fault = "rate_limited"
    with pytest.raises(RateLimited):
        await listen(line)
    assert await announced(line) == "desk"
    await line.services.credentials.replace_secret(line.owner, credential_id, {"key": google.account})
    assert await announced(line) == "ok"


@pytest.mark.usefixtures("quick_end")
async def test_a_recogniser_that_keeps_failing_is_left_in_peace(line: Line, google: GoogleSpeech) -> None:
    await google_for(line, google, "transcriber")
    google.fault = "unavailable"
    for _ in range(4):
        with pytest.raises(ConnectorError):
            await listen(line)
    google.fault = ""
    await listen(line)
    google.fault = "unavailable"
    for n in range(5):
        assert await announced(line, str(uuid4())) in {"ok", "full"}, n
        with pytest.raises(ConnectorError):
            await listen(line)
    assert await announced(line) == "desk"


@pytest.mark.usefixtures("quick_end")
@pytest.mark.skipif(bool(offline.missing()), reason="the extra offline-voice is not installed")
async def test_a_voice_without_quota_matters_only_where_no_other_voice_is(
    line: Line, google: GoogleSpeech, catalog: Catalog
) -> None:
    services = line.services
    await google_for(line, google, "synthesizer")
    google.fault = "rate_limited"
    chosen = await services.speech.synthesizer(line.owner.workspace_id, line.agent_id)
    with pytest.raises(RateLimited):
        async for _ in chosen.synthesizer.speak(SpeakRequest("Hello.")):
            pass
    await services.speech._rest.close()
    assert await announced(line) == "ok"
    alone = Catalog(connectors={k: c for k, c in catalog.connectors.items() if k != "offline_speech"})
    admission = CallAdmission(services.database, BoundSpeech(services.database, alone, services.vault))
    assert await admission.refuses(line.owner.workspace_id, line.agent_id) == "speech"


@pytest.mark.usefixtures("quick_end")
async def test_an_account_that_rests_is_no_matter_of_agents_that_do_not_use_it(
    line: Line, google: GoogleSpeech, services: Services, owner: Principal
) -> None:
    other = await new_line(services, owner, GREETING)
    await google_for(line, google, "transcriber")
    google.fault = "rate_limited"
    with pytest.raises(RateLimited):
        await listen(line)
    assert [await announced(line), await announced(other)] == ["desk", "ok"]


async def test_the_workspaces_own_choice_rests_too(line: Line, services: Services, admin: Admin) -> None:
    credential = await services.credentials.create(line.owner, "openai", "O", {"key": "sk-0123456789ab"})
    await services.workspace_settings.set_default_speech(
        line.owner, "transcriber", credential_id=credential.id, connector="openai", model=""
    )
    admin.execute("UPDATE credential SET hears_again_at = now() + interval '1 minute'")
    assert await announced(line) == "desk"


async def test_how_long_an_account_rests(line: Line, services: Services, admin: Admin) -> None:
    credential = await services.credentials.create(line.owner, "openai", "O", {"key": "sk-0123456789ab"})
    clock = Seconds()
    rest = SpeechRest(services.database, clock)
    told = rest.of(Account(line.owner.workspace_id, credential.id, "openai", hears=True))
    rests = []
    for wish in (1.0, 3.0, None, 40.0, 1e6, 5.0):
        told(RateLimited("Quota.", retry_after=wish))
        await rest.close()
        found = admin.execute(
            "SELECT round(extract(epoch FROM hears_again_at - now()))::int FROM credential"
        ).fetchone()
        assert found is not None
        rests.append(found[0])
    # Little more than is known already is not written down; a long rest is not cut short.
    assert rests == pytest.approx([1, 1, 30, 40, LONGEST_REST, LONGEST_REST], abs=3)
    admin.execute("UPDATE credential SET hears_again_at = NULL")
    clock.at += LONGEST_REST
    told(RateLimited("Quota.", retry_after=1.0))
    await rest.close()
    assert admin.execute("SELECT count(*) FROM credential WHERE hears_again_at > now()").fetchone() == (1,)
