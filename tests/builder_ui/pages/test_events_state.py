"""The pages of event subscriptions: what they show, what they change, and what strangers and viewers get."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from builder_ui.pages.event_page_state import SECRET_FIELD, EventPage
from builder_ui.pages.events_state import FRESH_FIELD, SUGGESTED, Events
from graph_runtime.bootstrap import Services
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab, redirected_to

FORM = {"url": "https://example.com/events", "description": "CRM", "turn.ended": True, "all_agents": True}


async def subscribe(tab: Tab, **more: Any) -> str:
    """Through the form; the secret that the page shows."""
    await tab.call(Events, "load")
    await tab.call(Events, "begin")
    events = await tab.call(Events, "save", FORM | more)
    return str(next(e for e in events if FRESH_FIELD in str(e.args))) if events else ""


async def test_the_form_suggests_makes_and_shows_the_secret_once(
    tab: Tab, agent: AgentRow, services: Services, who: Principal
) -> None:
    await tab.call(Events, "load")
    page = tab.state(Events)
    assert (page.subscriptions, page.is_loaded, page.may_manage) == ([], True, True)
    await tab.call(Events, "begin")
    assert page.form_types == [*SUGGESTED]
    assert [(a.name, a.is_chosen) for a in page.form_agents] == [("Reception", False)]
    assert "whsec_" in await subscribe(tab)
    (item,) = page.subscriptions
    assert (item.name, item.state, item.types, item.is_on) == ("CRM", "waits", ["turn.ended"], True)
    assert page.is_fresh_shown
    assert "whsec_" not in str(tab.root.dict())
    await tab.call(Events, "switch", item.id, False)
    assert tab.state(Events).subscriptions[0].state == "off_member"


async def test_what_is_refused_stays_in_the_form(tab: Tab, services: Services, who: Principal) -> None:
    for wrong in ({"url": "http://example.com"}, {"turn.ended": False}, {"all_agents": False}, {"url": ""}):
        await subscribe(tab, **wrong)
        assert tab.state(Events).is_form_open
        assert not tab.state(Events).is_saving
        assert tab.notice[0] == "error"
    assert await services.event_subscriptions.list(who) == []


async def test_changing_keeps_the_rest_and_a_new_secret_is_shown(
    tab: Tab, agent: AgentRow, services: Services, who: Principal
) -> None:
    await subscribe(tab)
    (row,) = await services.event_subscriptions.list(who)
    tab.go(f"/events/{row.id}")
    await tab.call(EventPage, "load")
    await tab.call(EventPage, "begin")
    page = tab.state(EventPage)
    assert (page.form_url, page.form_types, page.is_for_all) == (FORM["url"], ["turn.ended"], True)
    changed = {k: v for k, v in FORM.items() if k != "all_agents"} | {f"agent:{agent.id}": "on", "turn.failed": "on"}
    await tab.call(EventPage, "save", changed)
    assert (page.item.types, page.agents, page.is_form_open) == (["turn.ended", "turn.failed"], ["Reception"], False)
    events = await tab.call(EventPage, "renew")
    assert SECRET_FIELD in str(events[0].args)
    assert page.item.previous_until
    await tab.call(EventPage, "ask_delete")
    assert redirected_to(await tab.call(EventPage, "delete")) == "/events"
    assert await services.event_subscriptions.list(who) == []


async def test_the_log_shows_an_event_and_sends_it_again(
    tab: Tab, services: Services, who: Principal, admin: Any
) -> None:
    await subscribe(tab)
    (row,) = await services.event_subscriptions.list(who)
    tab.go(f"/events/{row.id}")
    await tab.call(EventPage, "load")
    await tab.call(EventPage, "send_test")
    page = tab.state(EventPage)
    assert [(d.type, d.state, d.payload) for d in page.log] == [("test", "pending", "")]
    await tab.call(EventPage, "open", page.log[0].id)
    assert '"type": "test"' in page.opened.payload
    admin.execute("UPDATE event_delivery SET state = 'failed', reason = 'expired', attempt = 16")
    await tab.call(EventPage, "choose", "failed")
    assert [(d.state, d.attempts) for d in page.log] == [("failed", 16)]
    await tab.call(EventPage, "replay_failed", 1)
    assert tab.notice == ("success", "events.replayed")
    assert page.log == []
    await tab.call(EventPage, "choose", "pending")
    assert [d.attempts for d in page.log] == [0]


async def test_others_find_nothing(tab: Tab, services: Services, who: Principal, admin: Any) -> None:
    await subscribe(tab)
    tab.go(f"/events/{uuid4()}")
    await tab.call(EventPage, "load")
    assert tab.state(EventPage).is_missing
    admin.execute("UPDATE member SET role = 'editor' WHERE workspace_id = %s", (who.workspace_id,))
    await tab.call(Events, "load")
    assert (tab.state(Events).may_manage, tab.state(Events).subscriptions) == (False, [])
