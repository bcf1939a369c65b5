"""Approval before sending: nobody hears what is held, the order stays, one decision counts, the time decides once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from graph_runtime.contract.errors import AccessDenied, Conflict, InputInvalid, NotFound
from graph_runtime.contract.flow import Flow
from graph_runtime.engine.validate import FlowCheck, Surroundings
from graph_runtime.services.approvals import with_text
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.approval_world import ANSWERS, QUIET, SPEAKING, ApprovingProcess, answer_by, approving
from tests.conversation_world import publish
from tests.engine.small_nodes import flow
from tests.hand_off_world import add_member

Admin = psycopg.Connection[tuple[Any, ...]]
BY_MODEL = {"approves": "model"}


def quiet(document: Flow) -> Flow:
    return document.model_copy(update={"pace": document.pace.model_copy(update=QUIET)})


@pytest.fixture
async def p(postgres: EmbeddedPostgres) -> AsyncIterator[ApprovingProcess]:
    async with approving(postgres.app_url) as side:
        yield side


@pytest.fixture
def access(postgres: EmbeddedPostgres, admin: Admin) -> ChannelAccess:
    found = publish(postgres.admin_url, quiet(ANSWERS))
    answer_by(admin, found, approval=BY_MODEL)
    return found


@pytest.fixture
def anna(admin: Admin, access: ChannelAccess) -> Principal:
    return add_member(admin, access, "Anna")


async def held(p: ApprovingProcess, access: ChannelAccess, *texts: str) -> tuple[str, str]:
    """A conversation whose answers wait; with the id of the first."""
    talk = await p.begin(access)
    for text in texts or ("one",):
        await p.say(access, talk, text)
    return talk, (await p.approvals.list(owner(access)))[0].id


def take(seen: list[str], event: dict[str, Any]) -> None:
    seen.append(event["message"]["text"] if event["type"] == "message" else event["type"])


def owner(access: ChannelAccess) -> Principal:
    return Principal(access.workspace_id, None, "owner", PERMISSIONS["owner"])


async def history(p: ApprovingProcess, access: ChannelAccess, talk: str) -> list[tuple[str, str, str]]:
    rows = await p.approvals.of_conversation(owner(access), talk)
    return [(r["text"], r["state"], r["sent_text"] or "") for r in rows]


async def test_nobody_hears_what_waits_and_what_comes_after_it_waits_too(
    p: ApprovingProcess, access: ChannelAccess, anna: Principal
) -> None:
    talk = await p.begin(access)
    seen: list[str] = []

    async def watch() -> None:
        async with p.conversations.watch(access, talk) as events:
            async for event in events:
                take(seen, event)

    watching = asyncio.create_task(watch())
    await p.say(access, talk, "one")
    await p.say(access, talk, "two")
    assert await p.texts(access, talk) == ["?", "> one", "> two"]
    [first] = await p.approvals.list(anna)
    assert (first.text, first.conversation_id, first.due_at) == ("Answer to one", talk, None)
    assert [(r.held_text, r.holds) for r in await p.hand_offs.list(anna, "approve")] == [("Answer to one", True)]
    assert (await p.hand_offs.waiting(anna))[0] == 1

    await p.approvals.decide(anna, first.id, "send")
    # The fixed question behind it needs nobody; the next answer does.
    assert await p.texts(access, talk) == ["?", "> one", "> two", "Answer to one", "?"]
    [second] = await p.approvals.list(anna)
    await p.approvals.decide(anna, second.id, "edit", " Better ")
    assert (await p.texts(access, talk))[-2:] == ["Better", "?"]
    assert await p.approvals.list(anna) == []
    await p.say(access, talk, "three")
    assert (await p.texts(access, talk))[-1] == "> three"
    await asyncio.sleep(0)
    watching.cancel()
    assert [s for s in seen if s not in ("turn", "typing")] == [
        "?", "one", "two", "Answer to one", "?", "Better", "?", "three"
    ]  # fmt: skip
    assert await history(p, access, talk) == [
        ("Answer to one", "sent", ""), ("?", "sent", ""), ("Answer to two", "edited", "Better"), ("?", "sent", ""),
        ("Answer to three", "waiting", ""), ("?", "waiting", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(("how", "text", "said"), [("reject", "", []), ("replace", "Later.", ["Later."])])
async def test_a_refused_message_is_never_said(
    p: ApprovingProcess, access: ChannelAccess, anna: Principal, admin: Admin, *, how: str, text: str, said: list[str]
) -> None:
    talk, message = await held(p, access)
    await p.approvals.decide(anna, message, how, text)
    assert await p.texts(access, talk) == ["?", "> one", *said, "?"]
    assert (await history(p, access, talk))[0] == ("Answer to one", "replaced" if said else "rejected", text)
    noted = admin.execute(
        "SELECT actor, action, ids ->> 'message' FROM audit WHERE workspace_id = %s AND action LIKE 'approval.%%'",
        (access.workspace_id,),
    ).fetchall()
    assert noted == [(anna.actor, f"approval.{'replaced' if said else 'rejected'}", message)]


async def test_of_many_who_decide_at_once_one_does(p: ApprovingProcess, access: ChannelAccess, admin: Admin) -> None:
    people = [add_member(admin, access, f"P{n}") for n in range(5)]
    talk, message = await held(p, access)
    done = await asyncio.gather(
        *(p.approvals.decide(who, message, "edit", f"By P{n}") for n, who in enumerate(people)), return_exceptions=True
    )
    [winner] = [n for n, error in enumerate(done) if error is None]
    for error in done:
        assert error is None or (isinstance(error, Conflict) and error.params["holder"] == f"P{winner}")
    assert await p.texts(access, talk) == ["?", "> one", f"By P{winner}", "?"]


async def test_only_the_first_is_decided_and_only_by_whoever_may(
    p: ApprovingProcess, access: ChannelAccess, anna: Principal, admin: Admin
) -> None:
    talk, message = await held(p, access, "one", "two")
    later = (await p.approvals.of_conversation(anna, talk))[2]["id"]
    with pytest.raises(Conflict) as error:
        await p.approvals.decide(anna, later, "send")
    assert error.value.params["reason"] == "not_first"
    for bad in ("", "nothing", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(NotFound):
            await p.approvals.decide(anna, bad, "send")
    with pytest.raises(InputInvalid):
        await p.approvals.decide(anna, message, "edit", "  ")
    with pytest.raises(AccessDenied):
        await p.approvals.decide(add_member(admin, access, "Eve", "viewer"), message, "send")
    # In a queue it is for those who answer there.
    admin.execute("INSERT INTO queue (workspace_id, name) VALUES (%s, 'Sales')", (access.workspace_id,))
    bob = add_member(admin, access, "Bob")
    admin.execute(
        "INSERT INTO queue_member (workspace_id, queue_id, member_id) SELECT workspace_id, id, %s FROM queue"
        " WHERE workspace_id = %s",
        (bob.member_id, access.workspace_id),
    )
    admin.execute(
        "UPDATE held_message SET queue_id = (SELECT id FROM queue WHERE workspace_id = %s) WHERE conversation_id = %s",
        (access.workspace_id, talk),
    )
    assert await p.approvals.list(anna) == []
    assert (await p.hand_offs.waiting(anna))[0] == 0
    with pytest.raises(Conflict) as error:
        await p.approvals.decide(anna, message, "send")
    assert error.value.params["reason"] == "not_in_queue"
    assert [a.id for a in await p.approvals.list(bob)] == [message]
    await p.approvals.decide(bob, message, "send")


@pytest.mark.parametrize(
    ("approves", "step", "waits"),
    [
        ("nothing", "agent", False), ("nothing", "always", True), ("model", "never", False), ("model", "agent", True),
        ("all", "never", False), ("all", "agent", True),
    ],
)  # fmt: skip
async def test_a_step_may_do_otherwise(
    p: ApprovingProcess, postgres: EmbeddedPostgres, admin: Admin, approves: str, step: str, waits: bool
) -> None:
    document = flow({"s": ("start", {}), "m": ("speak", {"text": "Hi", "approval": step})}, {"s.next": "m"})
    access = publish(postgres.admin_url, quiet(document))
    answer_by(admin, access, approval={"approves": approves})
    talk = await p.begin(access)
    assert await p.texts(access, talk) == ([] if waits else ["Hi"])
    assert len(await p.approvals.list(owner(access))) == waits
    # A conversation that the flow has ended still says its last word.
    if waits:
        await p.approvals.decide(
            add_member(admin, access, "Anna"), (await p.approvals.list(owner(access)))[0].id, "send"
        )
        assert await p.texts(access, talk) == ["Hi"]


async def test_in_a_test_and_on_a_call_nothing_waits(p: ApprovingProcess, access: ChannelAccess, admin: Admin) -> None:
    talk = await p.begin(access)
    admin.execute("UPDATE conversation SET is_test = true WHERE id = %s", (talk,))
    await p.say(access, talk, "one")
    said = (await p.conversations.transcript(owner(access), talk)).messages
    assert [(m["text"], m["flags"]) for m in said[2:]] == [("Answer to one", {"would_wait": True}), ("?", {})]
    admin.execute("UPDATE conversation SET is_test = false, channel_kind = 'phone' WHERE id = %s", (talk,))
    await p.say(access, talk, "two")
    assert (await p.texts(access, talk))[-2:] == ["Answer to two", "?"]


@pytest.mark.parametrize(
    ("rule", "said", "state"),
    [("send", ["Answer to one", "?"], "sent"), ("discard", ["?"], "rejected"), ("hand_off", [], "waiting")],
)
async def test_when_nobody_decides_the_time_does_once(
    p: ApprovingProcess, access: ChannelAccess, anna: Principal, admin: Admin, *, rule: str, said: list[str], state: str
) -> None:
    answer_by(admin, access, approval={**BY_MODEL, "wait_minutes": 5, "on_timeout": rule})
    talk, message = await held(p, access)
    now = datetime.now(UTC)
    assert await p.approvals.time_out(now + timedelta(minutes=4)) == 0
    late = now + timedelta(minutes=6)
    assert sum(await asyncio.gather(*(p.approvals.time_out(late) for _ in range(4)))) == 1
    assert await p.texts(access, talk) == ["?", "> one", *said]
    assert (await history(p, access, talk))[0][1] == state
    if state != "waiting":
        with pytest.raises(Conflict) as error:
            await p.approvals.decide(anna, message, "send")
        assert (error.value.params["reason"], error.value.params["holder"]) == ("decided", "")
        return
    # It waits for a person now; whoever takes it speaks for themselves, and the flow goes on when it comes back.
    [row] = await p.hand_offs.list(anna)
    assert (row.conversation_id, row.state, row.holds) == (talk, "waiting", True)
    await p.say(access, talk, "anybody?")
    await p.hand_offs.accept(anna, talk)
    assert [h[1] for h in await history(p, access, talk)] == ["withdrawn", "withdrawn"]
    await p.hand_offs.reply(anna, talk, "Yes.", client_id="1")
    await p.hand_offs.give_back(anna, talk)
    await p.say(access, talk, "two")
    assert await p.texts(access, talk) == ["?", "> one", "> anybody?", "", "Yes.", "", "> two"]
    assert (await history(p, access, talk))[2][:2] == ("Answer to two", "waiting")


async def test_whoever_takes_over_or_ends_it_withdraws_what_waits(
    p: ApprovingProcess, access: ChannelAccess, anna: Principal
) -> None:
    talk, message = await held(p, access)
    await p.hand_offs.accept(anna, talk)
    with pytest.raises(Conflict):
        await p.approvals.decide(anna, message, "send")
    assert await p.approvals.list(anna) == []
    other, message = await held(p, access)
    await p.conversations.end(anna, other)
    assert [h[1] for h in await history(p, access, other)] == ["withdrawn", "withdrawn"]
    with pytest.raises(Conflict):
        await p.approvals.decide(anna, message, "send")
    assert await p.texts(access, other) == ["?", "> one"]


@pytest.mark.parametrize(
    ("approval", "approves", "where"), [("always", False, ["m"]), ("agent", True, [""]), ("agent", False, [])]
)
def test_the_flow_check_says_that_calls_are_not_approved(approval: str, approves: bool, where: list[str]) -> None:
    document = flow({"s": ("start", {}), "m": ("speak", {"text": "Hi", "approval": approval})}, {"s.next": "m"})
    check = FlowCheck(SPEAKING)
    for takes_calls in (True, False):
        found = check.check(document, Surroundings(takes_calls=takes_calls, approves=approves))
        assert [(p.node_id, p.level) for p in found if p.code == "F031"] == [(n, "info") for n in where if takes_calls]


def test_changed_words_keep_buttons_and_files() -> None:
    file = {"kind": "media", "media": "document", "url": "u", "caption": ""}
    choices = {"kind": "choices", "text": "Old", "options": []}
    text = {"kind": "text", "text": "Old too"}
    assert with_text([file, choices, text], "New") == [file, choices | {"text": "New"}]
    assert with_text([text, file | {"caption": "c"}], "New") == [text | {"text": "New"}, file]
    assert [part["kind"] for part in with_text([file], "New")] == ["text", "media"]
