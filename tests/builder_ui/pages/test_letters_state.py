"""What could not be delivered: shown with its reason, tried again, discarded."""

from uuid import uuid4

import psycopg
import pytest

from builder_ui.pages.letters_state import Letters
from graph_runtime.bootstrap import Services
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from tests.builder_ui.conftest import Talk
from tests.builder_ui.tab import Tab


@pytest.fixture
def letters(talk: Talk, agent: AgentRow, who: Principal, admin: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Two events of the conversation whose turns failed for good."""
    for n in range(2):
        row = admin.execute(
            "INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind, payload, attempts)"
            " VALUES (%s, %s, %s, %s, 'message', %s, 4) RETURNING id",
            (who.workspace_id, agent.id, uuid4().hex, talk.id, f'{{"reply": {{"text": "Letter {n}"}}}}'),
        ).fetchone()
        assert row is not None
        admin.execute("UPDATE inbox SET state = 'dead' WHERE id = %s", row)


async def test_a_letter_says_what_why_and_how_many_alike(letters: None, tab: Tab) -> None:
    await tab.call(Letters, "load")
    shown = tab.state(Letters).letters
    assert {(x.text, x.reason, x.source, x.alike, x.attempts) for x in shown} == {
        ("Letter 0", "too_many_attempts", "inbox", 2, 3),
        ("Letter 1", "too_many_attempts", "inbox", 2, 3),
    }
    assert all(x.can_replay and x.agent == "Reception" for x in shown)


async def test_trying_all_alike_again_empties_the_list(letters: None, tab: Tab, services: Services) -> None:
    await tab.call(Letters, "load")
    await tab.call(Letters, "replay_alike", tab.state(Letters).letters[0].id)
    assert tab.state(Letters).letters == []
    assert tab.notice == ("success", "letters.replayed")


async def test_discarding_asks_first(letters: None, tab: Tab, services: Services, who: Principal) -> None:
    await tab.call(Letters, "load")
    doomed = tab.state(Letters).letters[0].id
    await tab.call(Letters, "ask_discard", doomed)
    assert len(await services.dead_letters.list(who)) == 2
    await tab.call(Letters, "discard")
    assert [x.id for x in await services.dead_letters.list(who)] == [
        x.id for x in tab.state(Letters).letters if x.id != doomed
    ]
    assert len(tab.state(Letters).letters) == 1


async def test_a_letter_of_another_workspace_is_not_found(letters: None, tab: Tab) -> None:
    await tab.call(Letters, "replay", str(uuid4()))
    assert tab.notice[0] == "error"
