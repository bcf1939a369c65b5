"""The live list and the transcript."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder_ui.pages import conversations_state
from builder_ui.pages.conversations_state import ALL, Talks
from builder_ui.transcript import FileItem, transcript_items
from graph_runtime.bootstrap import Services
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.conversation_list import ConversationDetail, ConversationRow
from graph_runtime.services.principal import Principal
from tests.builder_ui.conftest import Talk
from tests.builder_ui.tab import Tab


class Locked:
    """What a background handler gets: the state, which it may change inside `async with`."""

    def __init__(self, state: Any) -> None:
        object.__setattr__(self, "state", state)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.state, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.state, name, value)

    async def __aenter__(self) -> "Locked":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


async def test_the_transcript_names_the_step_beside_each_message(tab: Tab, talk: Talk, agent: AgentRow) -> None:
    tab.go(f"/conversations?id={talk.id}")
    await tab.call(Talks, "load")
    page = tab.state(Talks)
    (row,) = page.rows
    assert (row.who, row.agent, row.status, row.waits) == ("Marta", "Reception", "open", "reply")
    assert page.chosen.id == talk.id
    assert page.version == 1
    assert [(m.side, m.text) for m in page.messages] == [
        ("agent", "What is your name?"), ("contact", "Marta"), ("agent", "Hello Marta, which day?"),
    ]  # fmt: skip
    assert page.messages[2].options == ["Monday", "Tuesday"]
    assert page.messages[2].step_path == f"/agents/{agent.id}/flow/{agent.main_flow_id}?node=n_day"


def test_the_transcript_shows_the_files_of_a_message() -> None:
    parts = [
        {"kind": "text", "text": "Here is the brief"},
        {"kind": "media", "media": "document", "file_id": "f1", "name": "brief.pdf"},
        {"kind": "media", "media": "image", "url": "https://example.com/a.png", "name": "", "caption": "The shop"},
    ]
    said = {
        "seq": 1,
        "role": "contact",
        "text": "Here is the brief",
        "parts": parts,
        "node_id": None,
        "created_at": None,
    }
    row = cast(ConversationRow, SimpleNamespace(agent_id="a1"))
    known = {"f1": {"id": "f1", "mime": "application/pdf", "size": 1200, "state": "here", "error": ""}}
    (message,) = transcript_items(ConversationDetail(row, [said], [], {}, 1, known), {})
    brief = FileItem("/api/builder/files/f1", "brief.pdf", "document", 1200)
    shop = FileItem("https://example.com/a.png", "The shop", "image", state="elsewhere")
    assert (message.text, message.files) == ("Here is the brief", [brief, shop])
    (message,) = transcript_items(ConversationDetail(row, [said], [], {}, 1), {})
    assert message.files[0].state == "gone"


async def test_search_and_filters(tab: Tab, talk: Talk, agent: AgentRow) -> None:
    await tab.call(Talks, "load")
    for name, argument, count in (
        ("find", "marta", 1), ("find", "100%", 0), ("find", "", 1), ("choose_status", "ended", 0),
        ("choose_status", "nonsense", 1), ("choose_agent", agent.id, 1), ("choose_agent", ALL, 1),
        ("show_tests", True, 0), ("show_tests", False, 1),
    ):  # fmt: skip
        await tab.call(Talks, name, argument)
        assert len(tab.state(Talks).rows) == count, (name, argument)


async def test_ending_asks_first(tab: Tab, talk: Talk) -> None:
    await tab.call(Talks, "load")
    await tab.call(Talks, "open", talk.id)
    await tab.call(Talks, "end")
    assert tab.state(Talks).chosen.status == "open"
    await tab.call(Talks, "ask_end", True)
    await tab.call(Talks, "end")
    assert tab.state(Talks).chosen.status == "ended"
    assert tab.notice == ("success", "talks.ended")


async def test_a_conversation_of_another_workspace_cannot_be_read(
    services: Services, tab: Tab, talk: Talk, other_workspace: Principal
) -> None:
    foreign = await services.agents.create(other_workspace, name="Globex bot", language="en")
    for wanted in (foreign.id, "nonsense"):
        await tab.call(Talks, "open", wanted)
        assert tab.notice == ("error", "error.not_found")
        assert tab.state(Talks).messages == []


@pytest.mark.parametrize("end", ["page left", "tab closed", "signed out"])
async def test_news_arrive_until_the_page_is_left(
    services: Services, tab: Tab, talk: Talk, who: Principal, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(conversations_state, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(conversations_state, "CALM_SECONDS", 0.0)
    is_open = [True]
    monkeypatch.setattr(Talks, "_is_open", lambda self: is_open[0])
    tab.go(f"/conversations?id={talk.id}")
    await tab.call(Talks, "load")
    page = tab.state(Talks)
    handler = Talks.event_handlers["watch"]
    assert handler.is_background

    async def watch() -> None:
        async for _ in handler.fn(Locked(page)):
            pass

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await talk.say("Monday")
    async with asyncio.timeout(20):
        while page.chosen.status != "ended" or page.rows[0].status != "ended":  # noqa: ASYNC110 (the state is watched, not told)
            await asyncio.sleep(0.01)
    assert page.messages[-1].text == "See you then."
    if end == "page left":
        await tab.call(Talks, "leave")
    elif end == "tab closed":
        is_open[0] = False
    else:
        await services.accounts.sign_out(who)
    async with asyncio.timeout(20):
        await watching
