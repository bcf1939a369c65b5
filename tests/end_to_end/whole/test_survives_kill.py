"""Kill -9 of web, worker and database in the middle of a turn: nothing is lost, nothing is said twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.whole.designer import Designer, open_dialog
from tests.end_to_end.whole.stack import Stack, wait_until
from tests.end_to_end.whole.test_designer_and_client import Client
from tests.fakes.lanes import Lane
from tests.fakes.model_vendors import ModelVendors, serving

pytestmark = pytest.mark.timeout(150, func_only=True)
SLOW_SECONDS = 4.0
FLOW: dict[str, Any] = {
    "format": "flow/1",
    "name": "Oracle",
    "locale": "en",
    "entry": {"message": "n_start"},
    "variables": {"said": {"type": "text", "label": "Said"}},
    "connections": {"llm": {"kind": "chat_model", "label": "Model"}},
    "nodes": {
        "n_start": {"type": "start", "v": 1, "settings": {}},
        "n_ask": {"type": "ask", "v": 1, "settings": {"text": "What do you want to know?", "save_to": "said"}},
        "n_quick": {"type": "prompt", "v": 1, "settings": {"system": "First", "connection": "llm"}},
        "n_slow": {"type": "prompt", "v": 1, "settings": {"system": "Second", "connection": "llm"}},
        "n_again": {"type": "ask", "v": 1, "settings": {"text": "Anything else?", "save_to": "said"}},
        "n_end": {"type": "end", "v": 1, "settings": {"text": "Good-bye."}},
    },
    "edges": {
        "n_start.next": "n_ask",
        "n_ask.answered": "n_quick",
        "n_quick.next": "n_slow",
        "n_quick.error": "n_end",
        "n_slow.next": "n_again",
        "n_slow.error": "n_end",
        "n_again.answered": "n_quick",
    },
}


@pytest.fixture(scope="module")
def vendors() -> Iterator[ModelVendors]:
    """Stands for the model's maker."""
    with serving() as fake:
        yield fake


@pytest.fixture(scope="module")
def lane(vendors: ModelVendors) -> Lane:
    """What the model's maker was asked."""
    return vendors.lane("oracle")


@pytest.fixture(scope="module")
def oracle(stack: Stack, owner: Path, browser: Browser, vendors: ModelVendors, lane: Lane) -> str:
    """An agent that answers with a vendor's model, its key added on the page; the address of its chat."""
    context = browser.new_context(storage_state=json.loads(owner.read_text()), locale="en-US")
    page = context.new_page()
    me = Designer(stack.url, page)
    me.create_agent("Oracle")
    agent, flow = me.agent_id, me.flow_id
    page.goto(f"{stack.url}/models")
    open_dialog(page, "add-key", "[role=dialog]")
    page.get_by_role("radio", name="OpenAI").first.click()
    page.locator("#key-key").fill("sk-a-key-of-the-tests")
    page.locator("#key-base_url").fill(f"{vendors.url(lane)}/v1")
    page.get_by_test_id("save-key").click()
    expect(page.get_by_text("Works", exact=True).first).to_be_visible(timeout=20_000)
    page.evaluate(PUT_AND_PUBLISH, [agent, flow, FLOW])
    public_id = str(
        page.evaluate("(f) => fetch(`/api/builder/flows/${f}`).then((a) => a.json())", flow)["agent"]["public_id"]
    )
    context.close()
    return f"{stack.url}/chat/{public_id}"


PUT_AND_PUBLISH = """async ([agent, flow, document]) => {
    const call = async (method, path, body) => {
        const answer = await fetch(path, {method, headers: {'Content-Type': 'application/json'}, body: body && JSON.stringify(body)});
        const told = await answer.json().catch(() => ({}));
        if (!answer.ok) throw new Error(`${method} ${path}: ${JSON.stringify(told)}`);
        return told;
    };
    const open = await call('GET', `/api/builder/flows/${flow}`);
    const edits = [
        {kind: 'set_variable', id: 'said', variable: document.variables.said},
        {kind: 'set_connection', id: 'llm', connection: document.connections.llm},
        ...Object.entries(document.nodes).filter(([id]) => id !== 'n_start').map(([id, node]) => ({kind: 'add_node', id, node})),
        ...Object.entries(document.edges).map(([port, target]) => ({kind: 'connect', port, target})),
    ];
    const saved = await call('POST', `/api/builder/flows/${flow}/edits`, {client: 'test', seq: 1, base_revision: open.revision, edits});
    const key = (await call('GET', `/api/builder/flows/${flow}`)).models.flatMap((m) => m.credentials ?? [])[0];
    await call('PUT', `/api/builder/agents/${agent}/connections/llm`, {credential_id: key.id, connector: 'openai', model: 'small'});
    const open2 = await call('GET', `/api/builder/flows/${flow}`);
    await call('POST', `/api/builder/flows/${flow}/publish`, {revision: open2.revision, comment: ''});
}"""


def ask_and_wait_until_the_second_call(visitor: Client, lane: Lane, question: str) -> None:
    """The turn has said its first answer and now waits for the slow one."""
    lane.journal.clear()
    lane.answer("First answer.")
    lane.answer("Second answer.")
    lane.answer("Second answer.")
    lane.fail("slow_first_token", seconds=0.1)
    lane.fail("slow_first_token", seconds=SLOW_SECONDS)
    visitor.says(question)
    wait_until(lambda: bool(calls(lane, "Second")), 20, "the second call of the model")


def calls(lane: Lane, system: str) -> list[Any]:
    """Calls of the model by the step with these instructions."""
    return [
        c for c in lane.journal if c.asked and any(r == "system" and t.startswith(system) for r, t in c.asked.messages)
    ]


def answered_once(visitor: Client, lane: Lane, question: str) -> None:
    """The page got everything by itself, in order and once, and the model was not asked again in vain."""
    visitor.hears("Second answer.")
    expect(visitor.page.locator("#log .agent .bubble", has_text="Anything else?")).to_have_count(1, timeout=20_000)
    lines = visitor.lines()
    after = lines[lines.index(question) :]
    assert after == [question, "First answer.", "Second answer.", "Anything else?"]
    assert len(calls(lane, "First")) == 1, "a finished effect was repeated"
    assert len(calls(lane, "Second")) <= 2
    visitor.page.reload()
    visitor.hears("Anything else?")
    assert visitor.lines() == lines


@pytest.fixture
def visitor(oracle: str, client: Page, lane: Lane) -> Client:
    """Somebody who has been asked what they want to know."""
    lane.faults.clear()
    lane.answers.clear()
    client.goto(oracle)
    visitor = Client(client)
    visitor.hears("What do you want to know?")
    return visitor


def test_web_killed_in_the_middle_of_a_turn(stack: Stack, visitor: Client, lane: Lane) -> None:
    ask_and_wait_until_the_second_call(visitor, lane, "Will it rain?")
    pid = stack.kill("web")
    stack.wait_until_replaced("web", pid, 60)
    answered_once(visitor, lane, "Will it rain?")


def test_worker_killed_in_the_middle_of_a_turn(stack: Stack, visitor: Client, lane: Lane) -> None:
    ask_and_wait_until_the_second_call(visitor, lane, "Will it snow?")
    pid = stack.kill("worker")
    answered_once(visitor, lane, "Will it snow?")
    stack.wait_until_replaced("worker", pid, 60)


def test_database_killed_in_the_middle_of_a_turn(stack: Stack, visitor: Client, lane: Lane) -> None:
    ask_and_wait_until_the_second_call(visitor, lane, "Will it hail?")
    pid = stack.kill("postgres")
    stack.wait_for_line("The database ended unexpectedly", 20)
    stack.wait_until_replaced("postgres", pid, 60)
    answered_once(visitor, lane, "Will it hail?")
