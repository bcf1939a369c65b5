"""What follow-ups promise, from the first click to the last message: a designer draws a chain up with the mouse and puts
fifty people of four time zones in; workers run it and are killed ten times; the books of the receiver and of the exchange
are compared with what a calendar on paper says."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from playwright.async_api import BrowserContext, Page, expect

from graph_runtime.bootstrap import Services
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.builder_ui.test_chains_in_browser import shot
from tests.builder_ui.test_in_browser import address, browser, context, screens, sign_in
from tests.chain_world import chaining
from tests.delivery_world import Channel, Place
from tests.fakes.asterisk_manager import SECRET, managing
from tests.fakes.webhook_receiver import receiving
from tests.integration.test_deliveries import QUIET, until

__all__ = ["address", "browser", "context", "screens"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(150, func_only=True)]
Admin = psycopg.Connection[tuple[object, ...]]
ROOT = Path(__file__).resolve().parents[2]
ZONES = ("Europe/Kyiv", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
PEOPLE = 50
KILLS = 10
AFTER_THE_CALL = timedelta(minutes=3)


@dataclass(frozen=True)
class Person:
    """Somebody who got a quote. `reads`: after how many messages they answer; 3: never."""

    name: str
    phone: str
    zone: str
    reads: int

    def promised(self, entered: datetime) -> list[tuple[datetime, str]]:
        """By hand: the quote at once, but not at night; two working days later at eleven; five days on, at eleven, a call."""
        here = ZoneInfo(self.zone)
        now = entered.astimezone(here)
        quoted = now
        if now.time() < time(9):
            quoted = datetime.combine(now.date(), time(9), here)
        elif now.time() >= time(21):
            quoted = datetime.combine(now.date() + timedelta(days=1), time(9), here)
        day, left = quoted.date(), 2
        while left:
            day += timedelta(days=1)
            left -= day.isoweekday() < 6
        reminded = datetime.combine(day, time(11), here)
        called = datetime.combine(day + timedelta(days=5), time(11), here)
        all_of_it = [(quoted, "quote"), (reminded, "reminder"), (called, "call")]
        return [(at.astimezone(UTC), what) for at, what in all_of_it[: self.reads]]


def everybody() -> list[Person]:
    dice = random.Random(7)
    return [
        Person(f"p{n}", f"+38067{1_000_000 + n}", ZONES[n % len(ZONES)], dice.choice([1, 2, 3, 3])) for n in range(PEOPLE)
    ]  # fmt: skip


class Workers:
    """Workers that are killed."""

    def __init__(self) -> None:
        self.died = 0
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Workers:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.mortal_chains", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.stdin.wait_closed()
        await self._process.wait()

    async def one(self, url: str, moment: datetime, where: str, steps: int) -> None:
        """Run a worker until it dies at `where`, or has nothing left to do."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{url} {moment.isoformat()} {where} {steps}\n".encode())
        async with asyncio.timeout(60):
            said = await self._process.stdout.readline()
        assert said in (b"died\n", b"done\n")
        self.died += said == b"died\n"


async def choose(page: Page, name: str, option: str) -> None:
    await page.locator(f"#step-{name}").click()
    await page.get_by_role("option", name=option, exact=True).click()


async def carry(page: Page, number: int, to: int) -> None:
    """Drag a step to another place, as a hand does it: once the panel has gone."""
    await page.get_by_role("dialog").wait_for(state="detached")
    grips = page.get_by_test_id("step-grip")
    start, end = await grips.nth(number).bounding_box(), await page.locator(".ps-chain > li").nth(to).bounding_box()
    assert start is not None
    assert end is not None
    x, y = start["x"] + start["width"] / 2, start["y"] + start["height"] / 2
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x, (y + end["y"]) / 2, steps=4)
    await page.mouse.move(x, end["y"] + 4, steps=4)
    await shot(page, "walk-carry")
    await page.mouse.up()


async def draw_up(page: Page) -> None:
    """Quote sent → reminder after two working days at eleven → call after five days → stop on reply."""
    await page.goto("/follow-ups")
    await sign_in(page)
    await page.get_by_test_id("add-first-chain").click()
    await page.locator("input[name=name]").fill("Після кошторису")
    await page.get_by_test_id("create-chain").click()
    await page.get_by_test_id("add-first-step").click()
    await page.get_by_test_id("add-message").click()
    await page.locator("textarea[name=text]").fill("quote {{ contact.name }}")
    await page.get_by_test_id("save-step").click()
    await page.get_by_test_id("add-step").click()
    await page.get_by_test_id("add-call").click()
    await page.locator("input[name=amount]").fill("5")
    await shot(page, "walk-call")
    await page.get_by_test_id("save-step").click()
    await expect(page.locator(".ps-chain > li")).to_have_count(2)
    # The call was drawn up too early: the reminder is carried in front of it.
    await page.get_by_test_id("add-step").click()
    await page.get_by_test_id("add-message").click()
    await page.locator("textarea[name=text]").fill("reminder {{ contact.name }}")
    await page.locator("input[name=amount]").fill("2")
    await choose(page, "unit", "робочі дні")
    await page.locator("input[name=at]").fill("11:00")
    await page.get_by_test_id("save-step").click()
    steps = page.locator(".ps-chain > li")
    await expect(steps).to_have_count(3)
    await carry(page, 2, 1)
    await expect(steps.nth(1)).to_contain_text("Через 2 робочі дні після попереднього кроку о 11:00")
    await expect(steps.nth(2)).to_contain_text("Через 5 днів після попереднього кроку")
    await expect(page.get_by_text("Завершується, коли людина відповіла")).to_be_visible()
    await page.get_by_role("tab", name="Розклад").click()
    await expect(page.locator(".ps-agenda").first.locator(".ps-agenda-line")).to_have_count(3)
    await page.get_by_role("tab", name="Кроки").click()
    await page.get_by_test_id("publish-chain").click()
    await page.get_by_test_id("enroll").click()


async def put_in(page: Page, people: list[Person]) -> None:
    await page.get_by_role("tab", name="Список").click()
    await page.locator("#listed").fill("\n".join(p.phone for p in people))
    await page.get_by_role("button", name="Додати всіх").click()
    await page.get_by_role("dialog").wait_for(state="detached")
    await page.get_by_role("tab", name="Розклад").click()
    month, name = page.get_by_test_id("month"), page.locator(".ps-month-name")

    async def counted() -> int:
        return sum(int(n) for n in await month.locator(".ps-month-chip").all_inner_texts())

    async def turn(to: str) -> None:
        shown = await name.inner_text()
        await page.get_by_test_id(f"month-{to}").click()
        await expect(name).not_to_have_text(shown)

    await expect(month).to_be_visible()
    async with asyncio.timeout(20):
        while True:  # what is ahead may reach into the next month, and days come a moment after the name of their month
            this = await counted()
            await shot(page, "walk-month")
            await turn("next")
            if this + await counted() == 3 * PEOPLE:
                return
            await turn("before")


async def test_exactly_what_was_promised(
    context: BrowserContext, agent: AgentRow, services: Services, who: Principal, admin: Admin, postgres: EmbeddedPostgres
) -> None:  # fmt: skip
    people = everybody()
    url = postgres.app_url
    _answers_with(admin, agent)
    place = Place.__new__(Place)
    place.workspace_id, place.agent_id, place.who = who.workspace_id, agent.id, who
    with receiving() as receiver:
        lane = receiver.lane()
        async with managing(ends="answered") as exchange, Workers() as workers:
            await services.agents.set_on(who, agent.id, True)
            await services.channel_setup.create(
                who, agent.id, "asterisk",
                settings={"manager_address": exchange.address, "manager_secret": SECRET, "caller_id": "+4930999", "most_calls": 60},
            )  # fmt: skip
            async with chaining(url, datetime.now(UTC), is_started=False) as side:
                channel = await side.add(place, "webhook", receiver.url(lane))
                for p in people:
                    await side.contact(place, channel, p.name, name=p.name, time_zone=p.zone, phone=p.phone)
            began = monotonic()
            page = await context.new_page()
            await draw_up(page)
            await put_in(page, people)
            entered = admin.execute("SELECT enrolled_at FROM enrollment").fetchall()
            assert len(entered) == PEOPLE
            moment = entered[0][0]
            assert isinstance(moment, datetime)
            assert {row[0] for row in entered} == {moment}
            promised = {p: p.promised(moment) for p in people}
            print(f"drawn up and filled in {monotonic() - began:.1f} s")
            began = monotonic()
            got = await _run(World(url, admin, workers, channel, lane, exchange), promised)
            print(f"played in {monotonic() - began:.1f} s")
    assert workers.died >= KILLS
    messages = {p.name: [(at, what) for at, what in all_of_it if what != "call"] for p, all_of_it in promised.items()}
    assert {name: [e for e in got[name] if e[1] != "call"] for name in messages} == messages
    # A webhook remembers keys: what a dead worker may have sent comes again under the same one, and is folded.
    assert {a.data["text"] for a in lane.accepted} == {a.data["text"] for a in lane.delivered}
    # A worker may die between the promise to ring and the ringing: nobody is rung twice, and the log tells of each.
    calls = {p.name: [e for e in all_of_it if e[1] == "call"] for p, all_of_it in promised.items()}
    lost = {name for name, wanted in calls.items() if [e for e in got[name] if e[1] == "call"] != wanted}
    told = admin.execute(
        "SELECT k.name FROM chain_log l JOIN contact k ON k.id = l.contact_id WHERE l.what = 'failed' AND l.kind = 'call'"
    ).fetchall()
    assert lost <= {str(row[0]) for row in told}
    assert len(lost) <= 3
    assert all(not [e for e in got[name] if e[1] == "call"] for name in lost)
    ends = Counter(admin.execute("SELECT state, reason FROM enrollment").fetchall())
    replied = sum(p.reads < 3 for p in people)
    assert ends == {("stopped", "replied"): replied, ("done", ""): PEOPLE - replied}


@dataclass(frozen=True)
class World:
    """Where the chain runs, and the books of those whom it reaches."""

    url: str
    admin: Admin
    workers: Workers
    channel: Channel
    lane: Any
    exchange: Any


async def _run(
    world: World, promised: dict[Person, list[tuple[datetime, str]]]
) -> dict[str, list[tuple[datetime, str]]]:  # fmt: skip
    """Let time pass from one promise to the next; what arrived at which of these moments, by name."""
    admin, workers, lane, exchange = world.admin, world.workers, world.lane, world.exchange
    dice = random.Random(3)
    by_phone = {p.phone.lstrip("+"): p for p in promised}
    got: dict[str, list[tuple[datetime, str]]] = {p.name: [] for p in promised}
    read = rung = 0
    moments = sorted({at for all_of_it in promised.values() for at, _ in all_of_it})
    where = ("acts", "commit", "sending")
    for moment in moments:
        now = moment + timedelta(seconds=1)
        for _ in range(4):  # how many moments there are depends on the hour at which people were enrolled
            if workers.died < KILLS:
                await workers.one(world.url, now, where[workers.died % 3], dice.randint(0, 4))
        async with chaining(world.url, now) as side:
            await side.run_due()
            await until(lambda: _all_sent(admin), 20)
            new = [(a.data["user_id"], a.data["text"].partition(" ")[0]) for a in lane.delivered[read:]]
            read = len(lane.delivered)
            for name, what in new:
                if what in ("quote", "reminder"):
                    got[name].append((moment, what))
            replies = [
                p for p in promised if p.reads < 3 and len(got[p.name]) == p.reads and p.name in {n for n, _ in new}
            ]
            await asyncio.gather(
                *(world.channel.post(side, p.name, "I have a question", key=f"reply-{p.name}") for p in replies)
            )
            await side.run_due()
            # How the calls went is looked at a little later.
            for _ in range(25):
                side.clock.advance(AFTER_THE_CALL)
                await side.run_due()
                if admin.execute("SELECT count(*) FROM enrollment WHERE note LIKE 'calling:%'").fetchone() == (0,):
                    break
        for call in exchange.calls[rung:]:
            got[_called(call, by_phone)].append((moment, "call"))
        rung = len(exchange.calls)
    return got


def _called(call: dict[str, str], by_phone: dict[str, Person]) -> str:
    (person,) = [p for phone, p in by_phone.items() if phone in call["channel"].replace("+", "")]
    return person.name


def _answers_with(admin: Admin, agent: AgentRow) -> None:
    """The agent's flow is one that the workers of these tests know."""
    version = str(uuid4())
    admin.execute(
        "INSERT INTO version (id, workspace_id, flow_id, number, document, bundle, content_hash)"
        " SELECT %s, workspace_id, id, 99, %s, '{}', %s FROM flow WHERE id = %s",
        (version, psycopg.types.json.Jsonb(QUIET.to_json()), QUIET.content_hash(), agent.main_flow_id),
    )
    admin.execute("UPDATE flow SET live_version_id = %s WHERE id = %s", (version, agent.main_flow_id))


def _all_sent(admin: Admin) -> bool:
    return admin.execute("SELECT count(*) FROM outbox WHERE state <> 'sent'").fetchone() == (0,)
