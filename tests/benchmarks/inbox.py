"""How soon the Inbox shows what a contact wrote, with thousands of open conversations: `./patchcord bench inbox`.

A member has the Inbox open in a real browser: every open conversation in the list, one of them before their eyes. Contacts
write; late is the time from the commit (when the message was acknowledged) to the frame in which the page has it. Once
while nothing else happens, and once while `--busy` messages a second arrive in other conversations.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psycopg
from playwright.async_api import Page, async_playwright

from graph_runtime import bootstrap
from graph_runtime.bootstrap import Services
from graph_runtime.cli.chromium import ensure_chromium
from graph_runtime.contract.messages import Reply
from graph_runtime.places import default_screens_dir
from graph_runtime.services.principal import Principal
from graph_runtime.settings import Settings
from graph_runtime.storage import migrate
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.api.flows import GREETING
from tests.benchmarks.figures import Report, parser

ROUNDS = 40
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]
_CONTACTS = """
    INSERT INTO contact (workspace_id, name, fields)
    SELECT %(workspace)s, 'Client ' || n, jsonb_build_object('name', 'Client ' || n) FROM generate_series(1, %(rows)s) n
"""
_OPEN = """
    INSERT INTO conversation (workspace_id, agent_id, contact_id, version_id, channel_kind, language, message_seq, preview,
                              updated_at)
    SELECT k.workspace_id, %(agent)s, k.id, f.live_version_id, 'web_chat', 'en', 6, 'What is your name?',
           now() - random() * interval '7 days'
    FROM contact k, flow f WHERE f.agent_id = %(agent)s AND f.kind = 'main' AND k.workspace_id = %(workspace)s
"""
_SAID = """
    INSERT INTO message (workspace_id, conversation_id, seq, role, parts, text)
    SELECT c.workspace_id, c.id, n, CASE n %% 2 WHEN 0 THEN 'agent' ELSE 'contact' END,
           jsonb_build_array(jsonb_build_object('kind', 'text', 'text', 'Line ' || n)), 'Line ' || n
    FROM conversation c, generate_series(1, 6) n WHERE c.workspace_id = %(workspace)s AND c.message_seq = 6
"""
WATCH = """(place) => new Promise((done) => { const { selector, text } = place; const look = () => {
    const found = [...document.querySelectorAll(selector)].some((e) => e.textContent.includes(text));
    if (found) requestAnimationFrame(() => done(Date.now())); else setTimeout(look, 4); }; look(); })"""


async def measure(rows: int, busy: float) -> Report:
    """Fill, open the page, write."""
    report = Report("inbox")
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as server:
        migrate.upgrade(server.admin_url)
        async with running(server.app_url, Path(folder)) as (services, http):
            session = await services.accounts.create_owner(
                workspace="Bench", name="Olena", email="olena@example.com", password="a tram that flies home", language="en"
            )  # fmt: skip
            who = await services.accounts.principal(session.token)
            talks = await fill(services, who, server.admin_url, rows)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=ensure_chromium(), args=FLAGS)
                context = await browser.new_context(base_url=http, viewport={"width": 1280, "height": 800})
                await context.add_cookies([{"name": "patchcord_session", "value": session.token, "url": http}])
                page = await context.new_page()
                report.figures["open_page_ms"] = await opened(page, talks[0])
                for name, rate in (("quiet", 0.0), ("busy", busy)):
                    async with noise(services, who, talks[100:300], rate):
                        shown = await late(page, services, who, talks[0], ".ps-chat .ps-bubble")
                        listed = await late(page, services, who, talks[1], "#inbox-list .ps-cell")
                    report.figures |= figures(f"open_{name}", shown) | figures(f"list_{name}", listed)
                await browser.close()
    report.figures |= {"open_conversations": float(rows), "busy_per_s": busy}
    for key in ("open_quiet_p95_ms", "list_quiet_p95_ms", "open_busy_p95_ms", "list_busy_p95_ms"):
        report.goal(key, "<=", 500.0)
    report.notes.append("open: in the conversation before one's eyes; list: the row in the list of all open ones.")
    return report


@contextlib.asynccontextmanager
async def running(url: str, folder: Path) -> AsyncIterator[tuple[Services, str]]:
    """The web process as it is, in this one: pages, sockets, turns."""
    from builder_ui.build import ensure_screens
    from builder_ui.serve import screens_app
    from graph_runtime.api.app import create_app
    from tests.api.conftest import serving

    screens = default_screens_dir()
    ensure_screens(screens)
    kept = dict(os.environ)
    settings = Settings(database_url=url, data_dir=folder, secret_key="for benchmarks only, " * 3)
    services = await bootstrap.build(settings)
    try:
        async with serving(create_app(services, screens_app(screens)), services) as address:
            yield services, address.http
    finally:
        await services.close()
        os.environ.clear()
        os.environ.update(kept)


async def fill(services: Services, who: Principal, admin_url: str, rows: int) -> list[str]:
    """An agent with open conversations; their ids. The first two are the member's own."""
    agent = await services.agents.create(who, name="Reception", language="en")
    await services.drafts.replace(who, agent.main_flow_id, GREETING)
    draft = await services.drafts.open(who, agent.main_flow_id)
    await services.publishing.publish(who, agent.main_flow_id, revision=draft.revision)
    values = {"workspace": who.workspace_id, "agent": agent.id, "rows": rows}
    with psycopg.connect(admin_url, autocommit=True) as admin:
        for statement in (_CONTACTS, _OPEN, _SAID):
            admin.execute(statement, values)
        admin.execute("ANALYZE")
        found = admin.execute("SELECT id::text FROM conversation ORDER BY id LIMIT 300").fetchall()
    talks = [str(row[0]) for row in found]
    # People have these: what is written there starts no turn, so nothing but the Inbox is measured.
    for talk in talks:
        await services.hand_offs.accept(who, talk)
    return talks


async def opened(page: Page, talk: str) -> float:
    """The Inbox with all open conversations and one of them; milliseconds from the navigation to both."""
    began = time.perf_counter()
    await page.goto(f"/inbox?id={talk}")
    await page.locator(".ps-chat .ps-bubble").first.wait_for()
    took = (time.perf_counter() - began) * 1000
    await page.get_by_role("radio").nth(3).click()
    await page.locator("#inbox-list .ps-talk").nth(20).wait_for()
    return round(took)


async def late(page: Page, services: Services, who: Principal, talk: str, selector: str) -> list[float]:
    """Milliseconds from the commit to the page, sorted."""
    found = []
    for _ in range(ROUNDS):
        text = f"word {uuid.uuid4().hex[:8]}"
        seen = asyncio.create_task(page.evaluate(WATCH, {"selector": selector, "text": text}))
        await asyncio.sleep(0.25)
        await write(services, who, talk, text)
        committed = time.time() * 1000
        async with asyncio.timeout(30):
            found.append(max(float(await seen) - committed, 0.0))
    return sorted(found)


async def write(services: Services, who: Principal, talk: str, text: str) -> None:
    """The contact of a conversation writes."""
    await services.conversations.receive(who, talk, Reply(text=text), dedupe_key=uuid.uuid4().hex)


@contextlib.asynccontextmanager
async def noise(services: Services, who: Principal, talks: list[str], rate: float) -> AsyncIterator[None]:
    """Other contacts write, so many messages a second."""

    async def others() -> None:
        place = 0
        while True:
            await asyncio.sleep(1 / rate)
            place = (place + 1) % len(talks)
            await write(services, who, talks[place], f"noise {place}")

    writing = asyncio.create_task(others()) if rate else None
    try:
        yield
    finally:
        if writing is not None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


def figures(name: str, late: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {
        f"{name}_p50_ms": round(late[len(late) // 2], 1), f"{name}_p95_ms": round(late[int(len(late) * 0.95) - 1], 1)
    }  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Measure and report."""
    options = parser("inbox")
    options.add_argument("--rows", type=int, default=5000, help="open conversations")
    options.add_argument("--busy", type=float, default=10.0, help="messages a second in other conversations")
    chosen = options.parse_args([*arguments])
    shown = [flag for flag in ("--json", "--check") if getattr(chosen, flag[2:])]
    return asyncio.run(measure(chosen.rows, chosen.busy)).show(shown)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
