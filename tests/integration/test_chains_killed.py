"""The promise of a chain, kept while its workers are killed: a quote, a reminder after two working days at eleven, a last
word after five days, an end at the first reply. Fifty people in four time zones; the receiver's books tell."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg

from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.chain_world import after, chaining, message
from tests.delivery_world import Place
from tests.fakes.webhook_receiver import receiving
from tests.integration.test_deliveries import QUIET, until

Admin = psycopg.Connection[tuple[object, ...]]
ROOT = Path(__file__).resolve().parents[2]
ZONES = ("Europe/Kyiv", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
PEOPLE = 50
KILLS = 10
FRIDAY = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
"""Before a week-end in which the clocks of Kyiv go forward."""
STEPS = (
    message("quote", "Quote for {{ contact.name }}"),
    message("remind", "Reminder for {{ contact.name }}", delay=after(2, "working_days", "11:00")),
    message("last", "Last word for {{ contact.name }}", delay=after(5)),
)


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


async def test_everybody_gets_exactly_what_was_promised(postgres: EmbeddedPostgres, admin: Admin) -> None:
    admin.execute("DELETE FROM workspace")
    place = Place(postgres.admin_url, QUIET)
    dice = random.Random(7)
    # After which message each answers; 3: never.
    answers = {f"p{n}": dice.choice([1, 2, 3, 3]) for n in range(PEOPLE)}
    url = postgres.app_url
    with receiving() as receiver:
        async with Workers() as workers:
            lane = receiver.lane()
            async with chaining(url, FRIDAY) as side:
                channel = await side.add(place, "webhook", receiver.url(lane))
                chain = await side.chain(place.who, *STEPS)
                zones = {f"p{n}": ZONES[n % len(ZONES)] for n in range(PEOPLE)}
                ids = [await side.contact(place, channel, who, name=who, time_zone=zones[who]) for who in answers]
                await side.enroll(place.who, chain, *ids)
            # The morning of each zone, one after the other; workers die in between, and the next one finds what is left.
            due = sorted({FRIDAY, *(_eleven(zone) for zone in ZONES), *(_eleven(z) + timedelta(days=5) for z in ZONES)})
            where = ["acts", "commit", "sending"]
            for moment in due:
                for n in range(3):
                    if workers.died < KILLS:
                        await workers.one(url, moment, where[(workers.died + n) % 3], dice.randint(0, 4))
                async with chaining(url, moment) as side:
                    await side.run_due()
                    await until(lambda: _all_sent(admin), 20)
                    got = Counter(a.data["user_id"] for a in lane.delivered if "for p" in a.data["text"])
                    reply = [who for who, count in answers.items() if got[who] == count]
                    answers |= dict.fromkeys(reply, 99)
                    await asyncio.gather(*(channel.post(side, w, "I have a question", key=f"reply-{w}") for w in reply))
                    await side.run_due()
            async with chaining(url, due[-1] + timedelta(days=30)) as side:
                await side.run_due()
                await until(lambda: _all_sent(admin), 20)
                people = await side.chains.people(place.who, chain, limit=200)
    assert workers.died >= KILLS
    dice = random.Random(7)
    promised = {f"p{n}": dice.choice([1, 2, 3, 3]) for n in range(PEOPLE)}
    read: dict[str, list[str]] = defaultdict(list)
    for arrived in lane.delivered:
        if "for p" in arrived.data["text"]:
            read[arrived.data["user_id"]].append(arrived.data["text"])
    words = ("Quote", "Reminder", "Last word")
    assert dict(read) == {who: [f"{word} for {who}" for word in words[:count]] for who, count in promised.items()}
    # A webhook remembers keys: what a dead worker may have sent comes again under the same one, and is folded.
    assert {a.data["text"] for a in lane.accepted} == {a.data["text"] for a in lane.delivered}
    ends = Counter((row.state, row.reason) for row in people)
    replied = sum(count < 3 for count in promised.values())
    assert ends == {("stopped", "replied"): replied, ("done", ""): PEOPLE - replied}


def _eleven(zone: str) -> datetime:
    """Eleven o'clock of the second working day after the quote, where it came."""
    here = FRIDAY.astimezone(ZoneInfo(zone)).date()
    days = {4: 4, 5: 3}[here.weekday()]  # on a Friday, or already Saturday in Auckland: the Tuesday
    return datetime.combine(here + timedelta(days=days), time(11), ZoneInfo(zone)).astimezone(UTC) + timedelta(
        seconds=1
    )


def _all_sent(admin: Admin) -> bool:
    row = admin.execute("SELECT count(*) FROM outbox WHERE state <> 'sent'").fetchone()
    return row == (0,)
