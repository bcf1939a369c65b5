"""How an agent answers, as its page sets it; and what the Inbox's state does when two decide."""

from builder_ui.pages.agent_answering_state import AgentManner
from builder_ui.pages.inbox_state import Inbox
from graph_runtime.bootstrap import Services
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from tests.builder_ui.conftest import Talk
from tests.builder_ui.tab import Tab


async def test_what_is_set_is_kept_and_nonsense_is_refused(
    services: Services, tab: Tab, who: Principal, agent: AgentRow
) -> None:
    tab.go(f"/agents/{agent.id}")
    await tab.call(AgentManner, "load")
    page = tab.state(AgentManner)
    assert (page.approves, page.wait, page.has_delay, page.delays["limit"]) == ("nothing", "", False, "12")
    await tab.call(AgentManner, "choose_approves", "model")
    form = {"queue": "everybody", "wait": "15", "on_timeout": "send", "instead": "One moment."}
    await tab.call(AgentManner, "save_approval", form)
    assert tab.notice == ("success", "answering.saved")
    await tab.call(AgentManner, "switch_delay", True)
    await tab.call(AgentManner, "save_delay", {"least": "0,5", "most": "2", "per_character": "20", "limit": "6"})
    answering = await services.agent_answering.get(who, agent.id)
    assert (answering.approval.approves, answering.approval.wait_minutes, answering.approval.on_timeout) == (
        "model", 15, "send",
    )  # fmt: skip
    assert (answering.delay.is_on, answering.delay.least, answering.delay.limit) == (True, 0.5, 6)
    for wrong in ({"wait": "soon"}, {"wait": "9999"}, {"on_timeout": "never"}):
        await tab.call(AgentManner, "save_approval", form | wrong)
        assert tab.notice[0] == "error"
    assert await services.agent_answering.get(who, agent.id) == answering
    # The rest of the agent's settings is not touched, and cannot touch this.
    await services.agents.update(who, agent.id, settings={"subtitle": "Fast"})
    assert await services.agent_answering.get(who, agent.id) == answering


async def test_who_was_slower_is_told(services: Services, tab: Tab, who: Principal, talk: Talk) -> None:
    row = (await services.agents.list(who))[0]
    await services.agent_answering.change(who, row.id, approval={"approves": "all", "instead": "Later."})
    await services.conversations.restart(who, talk.id, dedupe_key="again")
    assert await services.conversations.wait_until_idle(who, talk.id, 10)
    await tab.call(Inbox, "load")
    await tab.call(Inbox, "choose_view", "approve")
    page = tab.state(Inbox)
    assert [(r.id, r.to_approve) for r in page.rows] == [(talk.id, True)]
    await tab.call(Inbox, "open", talk.id)
    assert (page.held.instead, page.messages[-1].approval) == ("Later.", "waiting")
    await tab.call(Inbox, "ask_decision", "edit")
    assert page.deciding == "edit"
    held = page.held.id
    await services.approvals.decide(who, held, "send")
    await tab.call(Inbox, "decide_words", {"words": "Something else"})
    assert tab.notice == ("error", "inbox.refused_decided")
    assert (page.held.id, page.deciding) == ("", "")
    assert page.messages[-1].approval == "sent"
