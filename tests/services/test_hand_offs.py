"""People take conversations over: one at a time, nothing of the contact lost, nothing answered twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from graph_runtime.contract.errors import AccessDenied, Conflict, InputInvalid, NotFound
from graph_runtime.contract.flow import load_flow
from graph_runtime.contract.messages import Reply
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.files import Files
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.conversation_world import publish
from tests.engine.small_nodes import flow
from tests.hand_off_world import HELP, PeopleProcess, add_member, people_process
from tests.integration.test_turns import THINKING, Model

Admin = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
async def p(postgres: EmbeddedPostgres) -> AsyncIterator[PeopleProcess]:
    async with people_process(postgres.app_url) as side:
        yield side


@pytest.fixture
def access(postgres: EmbeddedPostgres) -> ChannelAccess:
    return publish(postgres.admin_url, HELP)


@pytest.fixture
def anna(admin: Admin, access: ChannelAccess) -> Principal:
    return add_member(admin, access, "Anna")


@pytest.fixture
def bob(admin: Admin, access: ChannelAccess) -> Principal:
    return add_member(admin, access, "Bob")


async def asked(p: PeopleProcess, access: ChannelAccess) -> str:
    """A conversation that waits for a person."""
    talk = await p.begin(access)
    await p.say(access, talk, "a refund")
    return talk


def refused(error: pytest.ExceptionInfo[Conflict]) -> tuple[Any, Any]:
    return error.value.params["reason"], error.value.params["holder"]


async def fire(p: PeopleProcess, admin: Admin, access: ChannelAccess, talk: str) -> None:
    """Let the time come that the conversation waits for."""
    admin.execute("UPDATE timer SET due_at = now() WHERE conversation_id = %s", (talk,))
    await p.sweep.fire_timers()
    await p.run_all(access, talk)


async def test_asked_taken_answered_and_given_back(p: PeopleProcess, access: ChannelAccess, anna: Principal) -> None:
    talk = await asked(p, access)
    [row] = await p.hand_offs.list(anna)
    assert (row.conversation_id, row.state, row.summary, row.priority) == (talk, "waiting", "About a refund", "high")
    await p.say(access, talk, "are you there?")
    await p.hand_offs.accept(anna, talk)
    await p.quiet()
    await p.say(access, talk, "hello?")
    assert (await p.hand_offs.list(anna, "mine"))[0].unread == 3
    said = await p.hand_offs.reply(anna, talk, " Here I am. ", client_id="1")
    assert (await p.hand_offs.reply(anna, talk, "Here I am.", client_id="1")) == type(said)(said.seq, is_new=False)
    assert (await p.hand_offs.list(anna, "mine"))[0].unread == 0
    await p.hand_offs.give_back(anna, talk, note="promised", outcome="solved")
    await p.quiet()
    assert await p.texts(access, talk) == [
        "What is it?", "> a refund", "One moment.", "> are you there?", "", "Anna is here.", "> hello?", "Here I am.",
        "", "Back: promised / solved / accepted by Anna", "Anything else?",
    ]  # fmt: skip
    await p.say(access, talk, "no")
    assert (await p.texts(access, talk))[-2:] == ["Heard no", "Anything else?"]
    assert await p.hand_offs.list(anna, "mine") == []


async def test_nobody_came(p: PeopleProcess, access: ChannelAccess, anna: Principal, admin: Admin) -> None:
    talk = await asked(p, access)
    await p.say(access, talk, "hurry up")
    await fire(p, admin, access, talk)
    assert (await p.texts(access, talk))[-3:] == ["> hurry up", "Nobody came: no_answer", "Anything else?"]
    assert await p.hand_offs.list(anna) == []
    # Too late for the queue, but whoever wants to may still take the conversation over.
    await p.hand_offs.accept(anna, talk)
    await p.hand_offs.give_back(anna, talk)
    await p.say(access, talk, "fine")
    assert (await p.texts(access, talk))[-2:] == ["Heard fine", "Anything else?"]


async def test_once_accepted_no_time_runs_out(
    p: PeopleProcess, access: ChannelAccess, anna: Principal, admin: Admin
) -> None:
    talk = await asked(p, access)
    admin.execute("UPDATE timer SET due_at = now() WHERE conversation_id = %s", (talk,))
    await p.sweep.fire_timers()  # its trigger is there, and loses against the person
    await p.hand_offs.accept(anna, talk)
    await p.quiet()
    await p.run_all(access, talk)
    assert (await p.texts(access, talk))[-1] == "Anna is here."
    assert admin.execute("SELECT count(*) FROM timer WHERE conversation_id = %s", (talk,)).fetchone() == (0,)


async def test_of_many_who_press_at_once_one_wins(p: PeopleProcess, access: ChannelAccess, admin: Admin) -> None:
    people = [add_member(admin, access, f"P{n}") for n in range(6)]
    for _ in range(4):
        talk = await asked(p, access)
        done = await asyncio.gather(*(p.hand_offs.accept(who, talk) for who in people), return_exceptions=True)
        await p.quiet()
        [winner] = [n for n, error in enumerate(done) if error is None]
        for error in done:
            assert error is None or (isinstance(error, Conflict) and error.params["holder"] == f"P{winner}")
        assert (await p.texts(access, talk)).count(f"P{winner} is here.") == 1


async def test_taking_over_cuts_the_agent_off(postgres: EmbeddedPostgres, admin: Admin) -> None:
    access, model = publish(postgres.admin_url, THINKING), Model()
    anna = add_member(admin, access, "Anna")
    async with people_process(postgres.app_url, model.outside) as p:
        talk = await p.begin(access)
        model.may_answer.clear()
        await p.conversations.receive(access, talk, Reply(text="one"), dedupe_key="1")
        await model.was_asked.wait()
        await p.hand_offs.accept(anna, talk)
        model.may_answer.set()
        await p.quiet()
        assert await p.texts(access, talk) == ["?", "> one", ""]
        await p.say(access, talk, "two")
        await p.hand_offs.reply(anna, talk, "Yes?", client_id="a")
        await p.hand_offs.give_back(anna, talk)
        await p.say(access, talk, "three")
        texts = await p.texts(access, talk)
        assert texts == ["?", "> one", "", "> two", "Yes?", "", "> three", "Answer to three", "?"]
        assert model.asked == ["one", "three"]


async def test_what_came_unseen_is_answered_by_the_flow(
    p: PeopleProcess, access: ChannelAccess, anna: Principal, admin: Admin
) -> None:
    talk = await asked(p, access)
    await p.hand_offs.accept(anna, talk)
    await p.quiet()
    seen = (await p.say(access, talk, "seen")).seq
    await p.say(access, talk, "unseen one")
    await p.say(access, talk, "unseen two")
    await p.hand_offs.give_back(anna, talk, seen_seq=seen)
    await p.quiet()
    texts = await p.texts(access, talk)
    # The step first, then each message once, in order.
    assert texts[texts.index("> unseen two") + 1 :] == [
        "", "Back:  /  / accepted by Anna", "Anything else?", "Heard unseen one", "Anything else?", "Heard unseen two",
        "Anything else?",
    ]  # fmt: skip
    waiting = admin.execute("SELECT count(*) FROM inbox WHERE state = 'pending' AND conversation_id = %s", (talk,))
    assert waiting.fetchone() == (0,)


async def test_a_contact_who_writes_all_the_time_loses_nothing_and_is_answered_once(
    p: PeopleProcess, access: ChannelAccess, anna: Principal, admin: Admin
) -> None:
    talk = await p.begin(access)
    await p.say(access, talk, "x")
    await p.hand_offs.accept(anna, talk)
    await p.hand_offs.give_back(anna, talk)
    await p.quiet()

    async def contact() -> None:
        for n in range(40):
            await p.conversations.receive(access, talk, Reply(text=f"m{n}"), dedupe_key=f"m{n}")
            await asyncio.sleep(0.002)

    async def person() -> None:
        for _ in range(8):
            await p.hand_offs.accept(anna, talk)
            seen = (await p.conversations.transcript(access, talk, limit=1)).message_seq
            await asyncio.sleep(0.01)
            await p.hand_offs.give_back(anna, talk, seen_seq=seen)
            await asyncio.sleep(0.005)

    await asyncio.gather(contact(), person())
    await p.quiet()
    await p.run_all(access, talk)
    texts = await p.texts(access, talk)
    asked_for = [t for t in texts if t.startswith("> m")]
    assert asked_for == [f"> m{n}" for n in range(40)]
    answers = [t for t in texts if t.startswith("Heard m")]
    assert len(answers) == len(set(answers))
    # Whatever the flow did not answer, a member had before their eyes when they took the conversation or had it.
    rows = admin.execute(
        "SELECT m.text, i.state, i.payload ? 'held' FROM message m JOIN inbox i ON i.id = m.turn_id"
        " WHERE m.conversation_id = %s AND m.role = 'contact' AND m.text LIKE 'm%%'",
        (talk,),
    ).fetchall()
    assert len(rows) == 40
    for text, state, was_held in rows:
        assert state == "done"
        assert (f"Heard {text}" in answers) is not was_held, text


async def test_time_that_was_running_runs_on_when_it_comes_back(
    p: PeopleProcess, postgres: EmbeddedPostgres, admin: Admin
) -> None:
    waiting = flow(
        {"s": ("start", {}), "q": ("ask", {"text": "Q", "seconds": 100.0}), "n": ("say", {"text": "silence"})},
        {"s.next": "q", "q.no_reply": "n"},
    )
    access = publish(postgres.admin_url, waiting)
    anna = add_member(admin, access, "Anna")
    talk = await p.begin(access)
    await p.hand_offs.accept(anna, talk)
    assert admin.execute("SELECT count(*) FROM timer WHERE conversation_id = %s", (talk,)).fetchone() == (0,)
    admin.execute(
        "UPDATE hand_off SET accepted_at = accepted_at - interval '1 hour', kept_due_at = kept_due_at - interval '1 hour'"
        " WHERE conversation_id = %s",
        (talk,),
    )
    await p.hand_offs.give_back(anna, talk)
    row = admin.execute(
        "SELECT extract(epoch FROM due_at - now())::int FROM timer WHERE conversation_id = %s", (talk,)
    ).fetchone()
    assert row is not None
    assert 90 <= row[0] <= 100
    await fire(p, admin, access, talk)
    assert (await p.texts(access, talk))[-1] == "silence"


async def test_release_assign_and_what_each_may(
    p: PeopleProcess, access: ChannelAccess, anna: Principal, bob: Principal, admin: Admin
) -> None:
    talk = await asked(p, access)
    with pytest.raises(Conflict) as error:
        await p.hand_offs.reply(anna, talk, "Hi", client_id="1")
    assert refused(error)[0] == "not_held"
    await p.hand_offs.accept(anna, talk)
    for attempt in (
        p.hand_offs.accept(bob, talk), p.hand_offs.give_back(bob, talk), p.hand_offs.release(bob, talk),
        p.hand_offs.reply(bob, talk, "Hi", client_id="1"), p.hand_offs.assign(bob, talk, str(bob.member_id)),
    ):  # fmt: skip
        with pytest.raises(Conflict) as error:
            await attempt
        assert refused(error) == ("taken", "Anna")
    await p.hand_offs.assign(anna, talk, str(bob.member_id))
    await p.hand_offs.reply(bob, talk, "Bob now", client_id="1")
    await p.hand_offs.release(bob, talk)
    assert [r.conversation_id for r in await p.hand_offs.list(anna)] == [talk]
    await p.say(access, talk, "anybody?")
    await p.hand_offs.accept(anna, talk)
    await p.quiet()
    assert (await p.texts(access, talk)).count("Anna is here.") == 1  # the step has heard it once
    chief = add_member(admin, access, "Chief", "admin")
    await p.hand_offs.assign(chief, talk, str(chief.member_id))
    await p.hand_offs.give_back(chief, talk)
    await p.quiet()
    assert (await p.texts(access, talk))[-1] == "Anything else?"
    with pytest.raises(Conflict) as error:
        await p.hand_offs.give_back(chief, talk)
    assert refused(error)[0] == "not_held"
    with pytest.raises(NotFound):
        await p.hand_offs.assign(chief, talk, str(uuid4()))


async def test_queues_show_to_their_members_only(p: PeopleProcess, postgres: EmbeddedPostgres, admin: Admin) -> None:
    queue = str(uuid4())
    document = HELP.to_json()
    document["nodes"]["h"]["settings"]["queue"] = queue
    access = publish(postgres.admin_url, load_flow(document))
    owner, anna, bob = (
        add_member(admin, access, "O", "owner"),
        add_member(admin, access, "Anna"),
        add_member(admin, access, "Bob"),
    )
    admin.execute("INSERT INTO queue (id, workspace_id, name) VALUES (%s, %s, 'R')", (queue, access.workspace_id))
    members = [str(anna.member_id)]
    assert await p.queues.save(owner, queue, name="Refunds", number="120", member_ids=members) == queue
    with pytest.raises(Conflict):
        await p.queues.save(owner, None, name="refunds")
    talk = await asked(p, access)
    assert [r.queue_name for r in await p.hand_offs.list(anna)] == ["Refunds"]
    assert await p.hand_offs.list(bob) == []
    assert (await p.hand_offs.waiting(bob))[0] == 0
    assert (await p.hand_offs.waiting(owner))[0] == 1
    with pytest.raises(Conflict) as error:
        await p.hand_offs.accept(bob, talk)
    assert refused(error)[0] == "not_in_queue"
    [row] = await p.queues.list(owner)
    assert (row.waiting, row.number, row.member_ids) == (1, "120", [anna.member_id])
    await p.queues.delete(owner, queue)
    assert [r.conversation_id for r in await p.hand_offs.list(bob)] == [talk]
    await p.hand_offs.accept(bob, talk)


async def test_the_end_of_a_conversation_is_the_end_of_its_hand_off(
    p: PeopleProcess, access: ChannelAccess, anna: Principal, admin: Admin
) -> None:
    waiting, held, again = [await asked(p, access) for _ in range(3)]
    await p.hand_offs.accept(anna, held)
    await p.hand_offs.accept(anna, again)
    await p.conversations.end(anna, waiting)
    await p.conversations.end(anna, held)
    await p.conversations.restart(access, again, dedupe_key="r")
    await p.quiet()
    assert await p.hand_offs.list(anna) == await p.hand_offs.list(anna, "mine") == []
    assert (await p.texts(access, again))[-1] == "What is it?"
    with pytest.raises(Conflict) as error:
        await p.hand_offs.reply(anna, held, "Hi", client_id="1")
    assert refused(error)[0] == "ended"
    states = admin.execute("SELECT state FROM hand_off WHERE workspace_id = %s", (access.workspace_id,)).fetchall()
    assert states == [("ended",)] * 3


async def test_notes_ready_replies_and_presence(p: PeopleProcess, access: ChannelAccess, anna: Principal) -> None:
    talk = await asked(p, access)
    await p.hand_offs.add_note(anna, talk, "be careful")
    assert [(n["text"], n["member_name"]) for n in (await p.hand_offs.desk(anna, talk)).notes] == [
        ("be careful", "Anna")
    ]
    assert "be careful" not in str(await p.conversations.transcript(access, talk))
    saved = await p.queues.save_reply(anna, None, "/hi", {"en": "Hello", "uk": "Вітаю", "de": "Hallo"})
    [reply] = await p.queues.replies(anna)
    assert (reply.id, reply.shortcut, reply.texts) == (saved, "hi", {"en": "Hello", "uk": "Вітаю"})
    with pytest.raises(InputInvalid):
        await p.queues.save_reply(anna, None, "no spaces", {"en": "x"})
    await p.queues.delete_reply(anna, saved)
    assert not any(one.is_online for one in await p.queues.people(anna))
    await p.queues.be(anna, is_online=True)
    await p.queues.be(anna, is_online=None)
    assert [(one.name, one.is_online) for one in await p.queues.people(anna)] == [("Anna", True)]


async def test_viewers_and_other_workspaces_are_turned_away(
    p: PeopleProcess, access: ChannelAccess, anna: Principal, admin: Admin, postgres: EmbeddedPostgres
) -> None:
    talk = await asked(p, access)
    viewer = Principal(access.workspace_id, anna.member_id, "viewer", PERMISSIONS["viewer"])
    stranger = add_member(admin, publish(postgres.admin_url, HELP), "Eve", "owner")
    for act in (p.hand_offs.accept, p.hand_offs.release, p.hand_offs.give_back, p.hand_offs.desk):
        with pytest.raises(AccessDenied):
            await act(viewer, talk)
        with pytest.raises((NotFound, Conflict)):
            await act(stranger, talk)
    for attempt in (p.hand_offs.reply(stranger, talk, "Hi", client_id="1"), p.hand_offs.add_note(stranger, talk, "Hi")):
        with pytest.raises(NotFound):
            await attempt
    assert await p.hand_offs.list(stranger, "all") == []
    await p.hand_offs.read_until(stranger, talk, 5)
    assert [r.conversation_id for r in await p.hand_offs.list(anna, "all", search="refund")] == [talk]
    assert (await p.hand_offs.list(anna))[0].state == "waiting"


async def test_a_member_sends_files_of_this_conversation_only(
    p: PeopleProcess, access: ChannelAccess, anna: Principal
) -> None:
    talk, other = await p.begin(access), await p.begin(access)
    await p.hand_offs.accept(anna, talk)
    kept = Files(p.database, p.conversations)
    picture = await kept.add(anna, talk, b"\x89PNG\r\n\x1a\n....")
    elsewhere = await kept.add(anna, other, b"plain text")
    said = await p.hand_offs.reply(anna, talk, "", client_id="1", file_ids=[picture.file_id])
    assert said.is_new
    message = (await p.conversations.transcript(access, talk)).messages[-1]
    assert [(part["media"], part["file_id"]) for part in message["parts"]] == [("image", picture.file_id)]
    assert (await kept.read(access, picture.file_id)).content.startswith(b"\x89PNG")
    for wrong in (elsewhere.file_id, "nonsense"):
        with pytest.raises(NotFound):
            await p.hand_offs.reply(anna, talk, "Here", client_id="2", file_ids=[wrong])
    with pytest.raises(InputInvalid):
        await p.hand_offs.reply(anna, talk, "", client_id="3", file_ids=[picture.file_id] * 11)
    viewer = Principal(anna.workspace_id, anna.member_id, "viewer", PERMISSIONS["viewer"])
    with pytest.raises(AccessDenied):
        await kept.add(viewer, talk, b"plain text")
