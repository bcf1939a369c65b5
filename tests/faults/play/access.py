"""Access by OAuth that expires while many processes need it, and the one that renews it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from graph_runtime import bootstrap
from graph_runtime.services.oauth import LOST
from graph_runtime.services.passwords import PasswordCost
from graph_runtime.services.principal import Principal
from graph_runtime.settings import Settings
from tests.fakes.kommo import CLIENT, Kommo, kommo
from tests.faults.collect import leaks_of_database, leaks_of_files
from tests.faults.database_server import DatabaseServer
from tests.faults.facts import Violation
from tests.faults.journal import Journal
from tests.faults.program import Program
from tests.faults.stage import Stage

ANSWER_SECONDS = 60.0
TOLD_WITHIN_SECONDS = 60.0
_HOLDER = """
    SELECT a.application_name FROM pg_stat_activity a JOIN pg_locks l USING (pid)
    WHERE l.relation = 'oauth_access'::regclass AND l.mode = 'RowShareLock' AND l.granted
      AND a.wait_event_type IS DISTINCT FROM 'Lock' AND a.pid <> pg_backend_pid()"""
"""Who has the row; those that wait for it wait for a lock."""


async def renewed_once(stage: Stage) -> None:
    """F17. A vendor whose refresh tokens work once. Calm: one refresh for each expiry. Killed: at a random moment within
    0.7 s after somebody began to renew; the vendor answers late, or takes the request in late."""
    processes = stage.size("processes", 20, 20)
    calm, kills = stage.size("calm expiries", 3, 10), stage.size("kills", 5, 50)
    silent = stage.size("kills of all that ask", 1, 2)
    async with _installation(stage, processes) as side:
        for _ in range(calm):
            await side.expiry("calm")
        for _ in range(kills):
            await side.expiry("kill", after=stage.chance.uniform(0.0, 0.7))
        for _ in range(silent):
            await side.expiry("all", after=0.05)
        _judge(stage, side, calm, kills)


@dataclass
class _Seen:
    """One expiry: what the vendor took in, what the survivors were told, what it came to."""

    kind: str
    taken: int
    answers: Counter[str]
    state: str
    hit: bool
    told_after: float = 0.0


@dataclass
class _Side:
    stage: Stage
    database: DatabaseServer
    fake: Kommo
    services: bootstrap.Services
    owner: Principal
    credential_id: str
    folder: Path
    renewers: dict[str, Program]
    journal: Journal
    seen: list[_Seen] = field(default_factory=list)

    async def expiry(self, kind: str, after: float = 0.0) -> None:
        """The token is over, for us and for the vendor; all ask at once."""
        await asyncio.gather(*(self._ready(name) for name in self.renewers))
        with self.database.look() as connection:
            connection.execute(
                "UPDATE oauth_access SET refresh_after = now() - interval '1 s', expires_at = now() - interval '1 s'"
            )
        before = len(self.fake.refreshed)
        with self.fake.lock:
            self.fake.access.clear()
            self.fake.faults.clear()
        fault = "slow" if kind != "kill" else self.stage.chance.choice(("slow", "slow", "late"))
        self.fake.fail(fault, seconds=self.stage.chance.uniform(0.05, 0.6), path="/oauth2")  # type: ignore[arg-type]
        asking = {name: asyncio.create_task(self._ask(name)) for name in self.renewers}
        struck, hit, at = ([], False, 0.0) if kind == "calm" else await self._strike(kind, after)
        answers = Counter([await task for name, task in asking.items() if name not in struck])
        for task in asking.values():
            await task
        if kind == "all":
            await self._until_known()
        state, told_after = self._state(at)
        found = _Seen(kind, len(self.fake.refreshed) - before, answers, state, hit, told_after)
        self.seen.append(found)
        self.journal.note(
            "expiry", of=kind, taken=found.taken, answers=dict(answers), state=state, killed=struck, hit=hit
        )
        for name in struck:
            if name in self.renewers:
                self.renewers[name].start()
        if state != "ready":
            await self.connect()

    async def connect(self) -> None:
        """What the administrator does: press the button, allow it at the vendor."""
        asked = parse_qs(urlsplit(await self.services.oauth.begin(self.owner, self.credential_id)).query)
        known = {"challenge": asked["code_challenge"][0], "redirect": asked["redirect_uri"][0]}
        self.fake.codes["the-code"] = known
        await self.services.oauth.finish(self.owner, state=asked["state"][0], code="the-code")

    async def _strike(self, kind: str, after: float) -> tuple[list[str], bool, float]:
        """Whom, whether the one that renewed was among them, and when."""
        until = time.monotonic() + ANSWER_SECONDS
        while not self._holders() and time.monotonic() < until:  # noqa: ASYNC110  # a lock tells nobody
            await asyncio.sleep(0.005)
        await asyncio.sleep(after)
        holders = self._holders()
        victims = [*self.renewers] if kind == "all" else holders[:1] or [self.stage.chance.choice([*self.renewers])]
        for name in victims:
            await asyncio.to_thread(self.renewers[name].kill)
        return victims, bool(holders), time.time()

    def _holders(self) -> list[str]:
        with self.database.look() as connection:
            return [row[0] for row in connection.execute(_HOLDER).fetchall() if row[0] in self.renewers]

    async def _until_known(self) -> None:
        """Nobody asks any more: a worker finds the expired token by itself."""
        until = time.monotonic() + 3 * TOLD_WITHIN_SECONDS
        while time.monotonic() < until:
            with self.database.look() as connection:
                row = connection.execute("SELECT state <> 'ready' OR expires_at > now() FROM oauth_access").fetchone()
            if row is not None and row[0]:
                return
            await asyncio.sleep(0.2)

    def _state(self, since: float) -> tuple[str, float]:
        with self.database.look() as connection:
            row = connection.execute(
                "SELECT CASE WHEN state = 'ready' AND expires_at <= now() THEN 'expired' ELSE state END,"
                " extract(epoch FROM updated_at)::float8 FROM oauth_access"
            ).fetchone()
        assert row is not None
        return str(row[0]), max(0.0, float(row[1]) - since)

    async def _ready(self, name: str) -> None:
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                try:
                    _, writer = await asyncio.open_unix_connection(str(self.folder / name))
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                return

    async def _ask(self, name: str) -> str:
        """ "200", or what it was told, or "dead"."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_unix_connection(str(self.folder / name))
                try:
                    writer.write(b"ask\n")
                    line = await reader.readline()
                finally:
                    writer.close()
        except TimeoutError:
            return "no answer"
        except OSError:
            return "dead"
        said = json.loads(line) if line else {}
        return str(said.get("status") or said.get("message") or "dead")


@contextlib.asynccontextmanager
async def _installation(stage: Stage, count: int) -> AsyncIterator[_Side]:
    """Database, vendor, a connection with access, the processes, and one worker as production starts it."""
    folder = _place()
    database = DatabaseServer(folder / "data")
    secret = f"canary-{secrets.token_urlsafe(36)}"
    programs: dict[str, Program] = {}
    journal = Journal(stage.folder / "expiries.jsonl")
    services: bootstrap.Services | None = None
    with kommo(life=3600) as fake:
        try:
            await asyncio.to_thread(database.start)
            given = {"secret_key": secret, "database_url": database.postgres.app_url}
            services = await bootstrap.build(
                Settings.model_validate(given), password_cost=PasswordCost(memory_kib=64, rounds=1)
            )
            visit = await services.accounts.create_owner(
                workspace="Faults", name="Ann", email="ann@example.org", password="correct horse battery staple",
                language="en",
            )  # fmt: skip
            owner = await services.accounts.principal(visit.token)
            values = {
                "base_url": fake.url, "way_in": "oauth", "authorize_url": f"{fake.url}/oauth",
                "allow_private_host": True, **CLIENT,
            }  # fmt: skip
            made = await services.credentials.create(owner, "kommo", "Shop", values)
            for name in [f"renewer{n}" for n in range(count)]:
                arguments = ["tests.faults.renewer", str(folder / name), owner.workspace_id, str(made.id)]
                programs[name] = _program(stage, name, arguments, database, secret)
            worker = _program(stage, "worker1", ["graph_runtime", "worker"], database, secret)
            worker.environment |= {"PATCHCORD_DATA_DIR": str(folder / "worker"), "PATCHCORD_SCREENS": "none"}
            side = _Side(stage, database, fake, services, owner, str(made.id), folder, programs, journal)
            await side.connect()
            for program in (*programs.values(), worker):
                program.start()
            programs = {**programs, "worker1": worker}
            yield side
        finally:
            for program in programs.values():
                program.close()
            if services is not None:
                await services.close()
            await asyncio.to_thread(database.stop)
            journal.close()
            shutil.rmtree(folder, ignore_errors=True)


def _place() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="pf-"))
    folder.chmod(0o755)  # PostgreSQL's account must reach it
    return folder


def _program(stage: Stage, name: str, arguments: list[str], database: DatabaseServer, secret: str) -> Program:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PATCHCORD_", "DATABASE", "REDIS"))}
    kept |= {
        "PATCHCORD_DATABASE_URL": f"{database.postgres.app_url}&application_name={name}",
        "PATCHCORD_SECRET_KEY": secret,
    }
    return Program(name, arguments, kept, stage.folder / f"{name}.log")


def _judge(stage: Stage, side: _Side, calm: int, kills: int) -> None:
    result, seen = stage.result, side.seen
    undisturbed = [s.taken for s in seen if s.kind == "calm"]
    struck = [s for s in seen if s.kind != "calm"]
    lost = [s for s in struck if s.state == "needs_reconnect"]
    result.gate("calm expiries with exactly one refresh", undisturbed.count(1), "==", calm)
    result.gate("expiries in which somebody was killed", len(struck), ">=", kills)
    result.gate("refreshes of one expiry, at most", max(s.taken for s in seen), "==", 1)
    result.gate("answers that were neither the vendor's nor the sentence", _odd(seen), "==", 0)
    result.gate("tokens lost and not said so", sum(s.state == "expired" for s in seen), "==", 0)
    result.gate("lost and said so, longest, s", round(max((s.told_after for s in lost), default=0.0), 2), "<=",
                TOLD_WITHIN_SECONDS)  # fmt: skip
    result.figures["kills that hit the one that renewed"] = sum(s.hit for s in struck)
    result.figures["renewed all the same"] = sum(s.state == "ready" for s in struck)
    result.figures["lost with the process, to be connected again"] = len(lost)
    with side.database.look() as connection:
        row = connection.execute("SELECT count(*) FROM audit WHERE action = 'credential.lost_access'").fetchone()
        tokens = {f"token {n}": token for n, token in enumerate([*side.fake.refreshed, *side.fake.refresh])}
        leaks = leaks_of_database(connection, tokens)
    leaks += leaks_of_files([*stage.folder.glob("*.log"), side.database.postgres.log_file], tokens)
    result.gate("entries in the audit log for those lost", row[0] if row else 0, "==", len(lost))
    result.violations += [Violation("I7", leak, leak) for leak in leaks]
    result.note = "a vendor whose refresh tokens work once: what it took in and nobody stored is lost for good, so a person is asked"


def _odd(seen: Sequence[_Seen]) -> int:
    """Answers of survivors that do not fit what it came to."""
    right = {"ready": "200", "needs_reconnect": LOST}
    return sum(n for s in seen for answer, n in s.answers.items() if answer != right.get(s.state, LOST))
