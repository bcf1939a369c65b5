"""A workspace with a signed-in owner, on the real services."""

import asyncio
import uuid
from dataclasses import dataclass

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.messages import Reply
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from tests import patience as _patience  # noqa: F401  # Playwright's own five seconds are too few
from tests.api.flows import GREETING
from tests.builder_ui.tab import Tab

PASSWORD = "a tram that flies home"


@pytest.fixture
async def tab(services: Services) -> Tab:
    """A tab of the owner."""
    session = await services.accounts.create_owner(
        workspace="Koval Dental", name="Olena Koval", email="olena@example.com", password=PASSWORD, language="uk"
    )
    return Tab(session.token)


@pytest.fixture
async def who(services: Services, tab: Tab) -> Principal:
    """The owner, for arranging and looking."""
    return await services.accounts.principal(tab.cookie.rpartition("=")[2])


@pytest.fixture
async def agent(services: Services, who: Principal) -> AgentRow:
    """An agent that is published and answers."""
    row = await services.agents.create(who, name="Reception", language="en")
    await services.drafts.replace(who, row.main_flow_id, GREETING)
    draft = await services.drafts.open(who, row.main_flow_id)
    await services.publishing.publish(who, row.main_flow_id, revision=draft.revision, comment="First")
    return await services.agents.get(who, row.id)


@dataclass
class Talk:
    """A conversation that somebody has with the agent."""

    services: Services
    who: Principal
    id: str

    async def say(self, text: str) -> None:
        """Write, and wait for the answer."""
        said = await self.services.conversations.receive(
            self.who, self.id, Reply(text=text), dedupe_key=uuid.uuid4().hex
        )
        await self.services.conversations.wait_for_turn(self.who, self.id, said.inbox_id, 10)


@pytest.fixture
async def talk(services: Services, who: Principal, agent: AgentRow) -> Talk:
    """Marta wrote and was answered once."""
    conversations = services.conversations
    started = await conversations.start(
        who, agent_id=agent.id, dedupe_key="begin", external_user_id="42", contact={"first_name": "Marta"}
    )
    async with asyncio.timeout(10), conversations.watch(who, started) as events:
        async for event in events:
            if event["type"] == "message":  # the greeting: the first turn runs by itself
                break
    made = Talk(services, who, started)
    await made.say("Marta")
    return made
