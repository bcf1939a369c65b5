"""One flow on web chat, in Telegram and on a call: the deal is in the CRM once for each, and a person takes over and gives back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import Transfer
from graph_runtime.contract.messages import Reply
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.principal import Principal
from graph_runtime.worker.main import work
from tests.fakes.kommo import LONG_TOKEN, Kommo, kommo
from tests.fakes.telegram import telegram
from tests.integration.lead_world import ANSWERS, LEAD
from tests.phone_world import Line
from tests.telegram_world import until

QUESTIONS = ["Your number?", "Your name?", "Which day?", "Any wishes?", "One moment."]


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo() as account:
        yield account


async def published(services: Services, owner: Principal, fake: Kommo) -> Line:
    """The agent with its phone line; it has a web chat by itself."""
    agent = await services.agents.create(owner, name="Flowers", language="en")
    queue = await services.queues.save(owner, None, name="Florists", number="+380440000000")
    hand = {**LEAD["nodes"]["n_hand"]["settings"], "queue": queue}
    nodes = {**LEAD["nodes"], "n_hand": {"type": "hand_off", "settings": hand}}
    await services.drafts.replace(owner, agent.main_flow_id, {**LEAD, "nodes": nodes})
    # The account's rate has tests of its own; here it would only be waited for.
    services.connections._limits.buckets.take = lambda *_: 0.0  # type: ignore[method-assign]
    values = {"base_url": fake.url, "long_token": LONG_TOKEN, "allow_private_host": True}
    row = await services.credentials.create(owner, "kommo", "Shop", values)
    await services.agents.bind(owner, agent.id, "crm", credential_id=row.id, connector="kommo")
    draft = await services.drafts.open(owner, agent.main_flow_id)
    await services.publishing.publish(owner, agent.main_flow_id, revision=draft.revision)
    await services.agents.set_on(owner, agent.id, True)
    channel, secret = await services.channel_setup.create(owner, agent.id, "asterisk", settings={})
    return Line(services, owner, agent.id, channel.id, secret)


async def test_one_flow_on_three_channels(services: Services, owner: Principal, admin: Any, fake: Kommo) -> None:
    line = await published(services, owner, fake)
    stop = asyncio.Event()
    with telegram() as vendor:
        bot = vendor.bot("Flowers")
        given = {"bot_token": bot.token, "base_url": vendor.url, "allow_private_host": True}
        await services.channel_setup.create(owner, line.agent_id, "telegram", settings=given)
        worker = asyncio.create_task(
            work(services.conversation_side, stop, deliveries=services.deliveries, keeper=services.channel_keeper)
        )
        try:
            for place, text in enumerate(("/start", *ANSWERS)):
                bot.write(text)
                await until(lambda place=place: len(bot.texts()) == place + 1)  # type: ignore[misc]
            assert bot.texts() == QUESTIONS
            talk = await people_answer(services, owner, "telegram")
            await until(lambda: bot.texts()[-1] == "Back: Friday it is")
            assert bot.texts()[-2:] == ["Anna speaking", "Back: Friday it is"]
            assert admin.execute("SELECT result FROM conversation WHERE id = %s", (talk,)).fetchone() == ("won",)
        finally:
            stop.set()
            await worker
    channel = admin.execute("SELECT id::text FROM channel WHERE connector = 'web_chat'").fetchone()
    visitor = ChannelAccess(owner.workspace_id, line.agent_id, channel[0], "visitor:1", "web_chat")
    chat = await services.conversations.start(visitor, dedupe_key="begin")
    for text in ANSWERS:
        await services.conversations.wait_until_idle(visitor, chat, 60)
        await services.conversations.receive(
            visitor, chat, Reply(text=text.replace("1112233", "4445566")), dedupe_key=text
        )
    await services.conversations.wait_until_idle(visitor, chat, 60)
    assert await people_answer(services, owner, "web_chat") == chat
    await services.conversations.wait_until_idle(visitor, chat, 60)
    shown = await services.conversations.transcript(visitor, chat)
    assert [m["text"] for m in shown.messages if m["role"] == "agent"] == [*QUESTIONS, "Back: Friday it is"]

    call, first = await line.answered()
    assert first.said == QUESTIONS[:1]
    spoken = [await line.turn(call, text) for text in ("plus 380 50 777 88 99", *ANSWERS[1:])]
    assert [turn.said[0] for turn in spoken] == QUESTIONS[1:]
    assert isinstance(spoken[-1].end, Transfer)
    assert spoken[-1].end.target == "+380440000000"

    leads = [(lead["name"], lead["status_id"]) for lead in fake.records["leads"].values()]
    assert leads == [("Bouquet for Olena", 12)] * 3
    assert len(fake.records["contacts"]) == len(fake.calls("POST", "/api/v4/leads")) == 3
    assert [n["params"]["text"] for n in fake.notes] == ["Wishes: no lilies"] * 3


async def people_answer(services: Services, owner: Principal, channel: str) -> str:
    """A member takes the conversation that waits, says something and gives it back."""
    (row,) = await services.hand_offs.list(owner, "waiting")
    assert row.channel == channel
    talk = row.conversation_id
    await services.hand_offs.accept(owner, talk)
    await services.hand_offs.reply(owner, talk, "Anna speaking", client_id="1")
    seen = (await services.hand_offs.desk(owner, talk)).row.message_seq
    await services.hand_offs.give_back(owner, talk, note="Friday it is", seen_seq=seen)
    return talk
