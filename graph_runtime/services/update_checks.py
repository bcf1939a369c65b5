"""Looks at what contacts said with the update rules of their agent, after the turn: one call to a model, one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

import structlog
from pydantic import ValidationError

from graph_runtime.contract.answers import contact_today
from graph_runtime.contract.errors import BadAnswer, BuilderError, ConnectorError, NotFound
from graph_runtime.contract.models import ModelReply
from graph_runtime.contract.update_rules import Target, UpdateRule
from graph_runtime.engine.effects import dump_reply, load_reply, once
from graph_runtime.engine.turn import AsksModels
from graph_runtime.services.bound_models import BoundModels
from graph_runtime.services.contacts import found
from graph_runtime.services.update_reading import (
    CONTEXT_MESSAGES,
    Reading,
    Said,
    model_request,
    read_answer,
    read_plainly,
)
from graph_runtime.services.update_writing import carry_out, targets_of
from graph_runtime.storage import update_checks as checks
from graph_runtime.storage import update_rules as rows
from graph_runtime.storage.database import DATABASE_AWAY, Connection, Database, Row
from graph_runtime.telemetry.metrics import MODEL_COST

log = structlog.get_logger(__name__)
SLOT: Final = "llm"
"""The agent's own model, else the workspace's default."""
DEMO: Final = "demo_model"
"""No model: it follows rules for flows and understands nothing."""
MOST_ATTEMPTS: Final = 4
AGAIN_SECONDS: Final = (10.0, 60.0, 300.0)

Rule = tuple[str, UpdateRule, Target]
Looked = tuple[str, UpdateRule, Target, Reading]


@dataclass(frozen=True, slots=True)
class Model:
    """The model that reads for an agent. `sources`: as `ModelRunner.run` takes them; `name` "": there is none."""

    sources: Sequence[Any]
    name: str


class UpdateReader:
    """Decides rules, with the agent's model or without one."""

    def __init__(self, models: BoundModels, runner: AsksModels) -> None:
        self._models = models
        self._runner = runner

    async def model(self, workspace_id: str, agent_id: str) -> Model:
        """Raises: CredentialRejected when a model is chosen and cannot be used."""
        sources = await self._models.chat_model(workspace_id, agent_id, SLOT)
        real = [s for s in sources if s.provider != DEMO]
        return Model(real, real[0].name if real else "")

    async def ask(self, model: Model, rules: Sequence[tuple[UpdateRule, Target]], said: Said) -> ModelReply:
        """One call about all rules. Raises: ConnectorError."""
        reply = await self._runner.run(model_request(rules, said), model.sources)
        if reply.data is None:
            raise BadAnswer("The model did not fill in the answer. Try a model that supports structured answers.")
        return reply


class UpdateChecks:
    """For the worker. Whatever dies where: a change is written with the end of its check, in one transaction."""

    def __init__(self, database: Database, reader: UpdateReader) -> None:
        self._database = database
        self._reader = reader

    async def run(self, workspace_id: str, check_id: str, attempt: int) -> None:
        """Look at one check that this attempt has claimed. What breaks is tried again, four times in all."""
        try:
            await self._run(workspace_id, check_id, attempt)
        except DATABASE_AWAY:
            raise
        except checks.CheckIsOver:
            return
        except Exception as error:
            if not isinstance(error, ConnectorError):
                log.exception("update_check_failed", check_id=check_id)
            await self._broke(workspace_id, check_id, attempt, error)

    async def _run(self, workspace_id: str, check_id: str, attempt: int) -> None:
        async with self._database.workspace(workspace_id) as connection:
            check = await checks.get_check(connection, check_id, attempt)
            if check is None:
                return
            if attempt > MOST_ATTEMPTS:  # it ended those who looked at it
                await checks.finish_check(connection, check_id, "failed", "gave_up")
                return
            rules = await self._rules(connection, check["agent_id"])
            said = await self._said(connection, check)
        looked, reply = await self._read(workspace_id, check, rules, said) if rules and said.messages else ([], None)
        async with self._database.workspace(workspace_id) as connection:
            # The contact before the check: erasing goes the same way.
            contact = await found(connection, check["contact_id"], for_update=True)
            if await checks.get_check(connection, check_id, attempt, for_update=True) is None:
                return
            now = {r["id"]: load(r) for r in await rows.listed(connection, check["agent_id"], only_on=True)}
            outcomes = {}
            for rule_id, rule, target, reading in looked:
                if now.get(rule_id) != rule:
                    outcomes[rule_id] = "rule_changed"
                    continue
                by_model = reply[0].model if reply else ""
                outcomes[rule_id] = reading.reason or await carry_out(
                    connection, check, contact, rule_id, (rule, target, reading), by_model
                )
            await checks.finish_check(connection, check_id, "done", "", outcomes)
            if reply is not None:
                await checks.note_usage(connection, check, _usage(*reply))

    async def _rules(self, connection: Connection, agent_id: str) -> list[Rule]:
        targets = await targets_of(connection)
        loaded = [(row["id"], load(row)) for row in await rows.listed(connection, agent_id, only_on=True)]
        return [(i, rule, targets[rule.field]) for i, rule in loaded if rule is not None and rule.field in targets]

    async def _said(self, connection: Connection, check: Row) -> Said:
        contact = await found(connection, check["contact_id"])
        shown = await checks.messages_of(connection, check, CONTEXT_MESSAGES)
        mine = [m for m in shown if m["role"] == "contact" and m["seq"] >= check["first_seq"]]
        return Said(
            messages=tuple((m["seq"], m["text"]) for m in mine),
            before=tuple(
                ("client" if m["role"] == "contact" else "agent", m["text"]) for m in shown if m["seq"] < check["first_seq"]
            ),
            language=check["language"] or "en",
            today=contact_today(check["at"].astimezone(UTC), contact["time_zone"]),
            country=contact["country"],
        )  # fmt: skip

    async def _read(
        self, workspace_id: str, check: Row, rules: list[Rule], said: Said
    ) -> tuple[list[Looked], tuple[ModelReply, float, bool] | None]:
        model = await self._reader.model(workspace_id, check["agent_id"])
        if not model.name:
            return [(i, rule, target, read_plainly(rule, target, said)) for i, rule, target in rules], None
        began = time.perf_counter()

        async def ask() -> dict[str, Any]:
            reply = await self._reader.ask(model, [(r, t) for _, r, t in rules], said)
            return {"rules": [[i, rule.model_dump(mode="json")] for i, rule, _ in rules], "reply": dump_reply(reply)}

        journal = checks.CheckEffects(self._database, workspace_id, check)
        data, replayed = await once(journal, checks.effect_key(check["id"]), "model", "", ask)
        # What an earlier attempt asked is read by the rules that it asked about.
        targets = {i: target for i, _, target in rules}
        asked = [(i, UpdateRule.model_validate(d), targets[i]) for i, d in data["rules"] if i in targets]
        if len(asked) != len(data["rules"]):
            return [], None
        reply = load_reply(data["reply"])
        if reply.usage.cost_microusd and not replayed:
            MODEL_COST.inc(reply.usage.cost_microusd)
        ms = round((time.perf_counter() - began) * 1000, 1)
        readings = read_answer([(r, t) for _, r, t in asked], reply.data or {}, said)
        looked = [(i, r, t, reading) for (i, r, t), reading in zip(asked, readings, strict=True)]
        return looked, (reply, ms, replayed)

    async def _broke(self, workspace_id: str, check_id: str, attempt: int, error: Exception) -> None:
        async with self._database.workspace(workspace_id) as connection:
            if await checks.get_check(connection, check_id, attempt, for_update=True) is None:
                return
            if isinstance(error, NotFound):  # the contact was erased meanwhile
                await checks.finish_check(connection, check_id, "done", "gone")
                return
            can_wait = not isinstance(error, BuilderError) or error.retryable
            if attempt >= MOST_ATTEMPTS or not can_wait:
                reason = error.code if isinstance(error, BuilderError) else "error"
                await checks.finish_check(connection, check_id, "failed", reason)
            else:
                await checks.put_off(connection, check_id, AGAIN_SECONDS[attempt - 1])


def load(row: Row) -> UpdateRule | None:
    """The document of a row; None when a newer program wrote it."""
    try:
        return UpdateRule.model_validate(row["document"])
    except ValidationError:
        log.error("update_rule_damaged", rule_id=row["id"])
        return None


def _usage(reply: ModelReply, ms: float, replayed: bool) -> dict[str, Any]:
    usage = reply.usage
    return {
        "provider": reply.provider, "model": reply.model, "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens, "cost_microusd": usage.cost_microusd, "ms": ms, "replayed": replayed,
    }  # fmt: skip
