"""What listens and what speaks on an agent's calls, chosen on its page and used by the next call."""

from __future__ import annotations

import pytest

from builder_ui.pages.agent_speech_state import DEFAULT, AgentSpeech
from builder_ui.pages.agent_state import AgentPage
from graph_runtime.bootstrap import Services
from graph_runtime.contract.speech import SYNTHESIZER_SLOT, TRANSCRIBER_SLOT
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab


@pytest.fixture
async def page(tab: Tab, agent: AgentRow) -> AgentSpeech:
    tab.go(f"/agents/{agent.id}/")
    await tab.call(AgentSpeech, "load")
    return tab.state(AgentSpeech)


async def test_speech_without_keys_is_what_is_usual(page: AgentSpeech) -> None:
    assert [side.slot for side in page.sides] == [TRANSCRIBER_SLOT, SYNTHESIZER_SLOT]
    assert {side.choice for side in page.sides} == {DEFAULT}
    assert all(side.usual and side.choices for side in page.sides)


async def test_a_voice_is_chosen_and_used(
    services: Services, tab: Tab, who: Principal, agent: AgentRow, page: AgentSpeech
) -> None:
    own = next(c.id for c in page.sides[1].choices if c.id.startswith("connector:"))
    await tab.call(AgentSpeech, "choose", SYNTHESIZER_SLOT, own)
    await tab.call(AgentSpeech, "name", SYNTHESIZER_SLOT, "gmw/en-US")
    assert (page.sides[1].choice, page.sides[1].model) == (own, "gmw/en-US")
    assert tab.notice == ("success", "speech.saved")
    chosen = await services.speech.synthesizer(who.workspace_id, str(agent.id))
    assert (chosen.connector.id, chosen.voice) == (own.removeprefix("connector:"), "gmw/en-US")
    await tab.call(AgentPage, "load")
    assert [c.slot for c in tab.state(AgentPage).connections] == [], "among the models it does not stand"
    await tab.call(AgentSpeech, "choose", SYNTHESIZER_SLOT, DEFAULT)
    assert (page.sides[1].choice, page.sides[1].model) == (DEFAULT, "")


async def test_what_is_not_there_is_not_chosen(tab: Tab, page: AgentSpeech) -> None:
    await tab.call(AgentSpeech, "choose", TRANSCRIBER_SLOT, "connector:demo_model")
    assert tab.notice[0] == "error"
    await tab.call(AgentSpeech, "choose", "llm", DEFAULT)
    assert tab.notice[0] == "error"
    assert page.sides[0].choice == DEFAULT
