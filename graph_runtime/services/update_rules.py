"""Update rules of an agent: making, changing, checking and trying them; what they changed, and taking it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from graph_runtime.contract.errors import BuilderError, InputInvalid, NotFound
from graph_runtime.contract.update_rules import RuleProblem, Target, UpdateRule, rule_problems, sentence
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.services.serving import require_serves
from graph_runtime.services.update_checks import UpdateReader, load
from graph_runtime.services.update_reading import Reading, Said, fit_value, read_answer, read_plainly
from graph_runtime.services.update_writing import targets_of
from graph_runtime.storage import audit
from graph_runtime.storage import update_checks as checks
from graph_runtime.storage import update_rules as rows
from graph_runtime.storage.database import Connection, Database, Row

MOST_RULES: Final = 30
"""All rules of an agent are one question to the model."""
NO_RULE: Final = "There is no such update rule. It may have been deleted; reload the page."


@dataclass(frozen=True, slots=True)
class UpdateRuleRow:
    """A rule as it is shown. `target` None: its field was deleted; `applied`: changes of the last 30 days."""

    id: str
    agent_id: str
    is_on: bool
    rule: UpdateRule
    target: Target | None
    sentence: str
    problems: tuple[RuleProblem, ...]
    applied: int
    applied_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What rules of an agent have around them. `model`: its name, "" when there is none; `model_problem` in words.

    `failed`: how many checks of the last seven days could not be carried out, `failed_reason` the code of the newest.
    """

    targets: list[Target]
    model: str
    model_problem: str
    failed: int
    failed_reason: str


UpdateRuleRows = list[UpdateRuleRow]
RuleProblems = list[RuleProblem]


class UpdateRules:
    """Whoever may edit the agent makes and changes them."""

    def __init__(self, database: Database, reader: UpdateReader, clock: Clock = system_clock) -> None:
        self._database = database
        self._reader = reader
        self._clock = clock

    async def list(self, principal: Principal, agent_id: str) -> UpdateRuleRows:
        """Rules of an agent, oldest first. Raises: AccessDenied, NotFound."""
        principal.require("agent.read")
        has_model = bool((await self._model(principal, agent_id))[0])
        async with self._database.workspace(principal.workspace_id) as connection:
            await _require_agent(connection, agent_id)
            targets = await targets_of(connection)
            return [self._shown(r, targets, has_model) for r in await rows.listed(connection, agent_id)]

    async def get(self, principal: Principal, rule_id: str) -> UpdateRuleRow:
        """Raises: AccessDenied, NotFound."""
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            agent_id = (await _found(connection, rule_id))["agent_id"]
        has_model = bool((await self._model(principal, agent_id))[0])
        async with self._database.workspace(principal.workspace_id) as connection:
            return self._shown(await _found(connection, rule_id), await targets_of(connection), has_model)

    async def around(self, principal: Principal, agent_id: str) -> Surroundings:
        """What rules may set, who reads, and what went wrong lately. Raises: AccessDenied, NotFound."""
        principal.require("agent.read")
        name, problem = await self._model(principal, agent_id)
        async with self._database.workspace(principal.workspace_id) as connection:
            await _require_agent(connection, agent_id)
            targets = [*(await targets_of(connection)).values()]
            failed = await checks.failures(connection, agent_id)
        return Surroundings(targets, name, problem, failed["count"], failed["reason"])

    async def check(self, principal: Principal, agent_id: str, document: Mapping[str, Any]) -> RuleProblems:
        """What is wrong with a document, without keeping it. Raises: AccessDenied, InputInvalid."""
        principal.require("agent.read")
        rule = read(document)
        has_model = bool((await self._model(principal, agent_id))[0])
        async with self._database.workspace(principal.workspace_id) as connection:
            return self._problems(rule, await targets_of(connection), has_model)

    async def create(self, principal: Principal, agent_id: str, document: Mapping[str, Any]) -> UpdateRuleRow:
        """A new rule, switched on. Raises: AccessDenied, NotFound, InputInvalid with the first problem."""
        principal.require("agent.edit")
        rule = read(document)
        async with self._database.workspace(principal.workspace_id) as connection:
            await _require_agent(connection, agent_id)
            if len(await rows.listed(connection, agent_id)) >= MOST_RULES:
                raise InputInvalid(f"An agent has at most {MOST_RULES} update rules. Delete one first.", field="when")
            self._require_sound(rule, await targets_of(connection))
            if is_uuid(rule.crm):
                await require_serves(connection, rule.crm, agent_id)
            rule_id = await rows.insert(connection, agent_id, rule.model_dump(mode="json"))
            await self._note(connection, principal, "created", rule_id)
        return await self.get(principal, rule_id)

    async def update(self, principal: Principal, rule_id: str, document: Mapping[str, Any]) -> UpdateRuleRow:
        """Change it; what is being looked at is not decided by it any more.

        Raises: AccessDenied, NotFound, InputInvalid with the first problem.
        """
        principal.require("agent.edit")
        rule = read(document)
        async with self._database.workspace(principal.workspace_id) as connection:
            agent_id = str((await _found(connection, rule_id, for_update=True))["agent_id"])
            self._require_sound(rule, await targets_of(connection))
            if is_uuid(rule.crm):
                await require_serves(connection, rule.crm, agent_id)
            await rows.change(connection, rule_id, document=rule.model_dump(mode="json"))
            await self._note(connection, principal, "changed", rule_id)
        return await self.get(principal, rule_id)

    async def set_on(self, principal: Principal, rule_id: str, is_on: bool) -> UpdateRuleRow:
        """What was said while it was off is not looked at later. Raises: AccessDenied, NotFound, InputInvalid."""
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            rule = load(await _found(connection, rule_id, for_update=True))
            if is_on:
                if rule is None:
                    raise InputInvalid("This rule cannot be read. Open it and save it again.", field="when")
                self._require_sound(rule, await targets_of(connection))
            await rows.change(connection, rule_id, is_on=is_on)
            await self._note(connection, principal, "switched_on" if is_on else "switched_off", rule_id)
        return await self.get(principal, rule_id)

    async def delete(self, principal: Principal, rule_id: str) -> None:
        """Delete it; what it changed and proposed stays. Raises: AccessDenied, NotFound."""
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, rule_id, for_update=True)
            await rows.delete(connection, rule_id)
            await self._note(connection, principal, "deleted", rule_id)

    async def try_out(
        self, principal: Principal, agent_id: str, document: Mapping[str, Any], text: str, question: str = ""
    ) -> tuple[Reading, str]:
        """What a rule would read in a sentence, and the model that read it ("": none); nothing is written.

        Raises: AccessDenied, NotFound, InputInvalid, ConnectorError.
        """
        principal.require("agent.edit")
        rule = read(document)
        if not text.strip():
            raise InputInvalid("Write what a client would say.", field="text")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _require_agent(connection, agent_id)
            targets = await targets_of(connection)
        target = self._require_sound(rule, targets)
        before = (("agent", question.strip()[:2000]),) if question.strip() else ()
        said = Said(((1, text[:2000]),), before, today=self._clock().astimezone(UTC).date())
        model = await self._reader.model(principal.workspace_id, agent_id)
        if not model.name:
            return read_plainly(rule, target, said), ""
        reply = await self._reader.ask(model, [(rule, target)], said)
        return read_answer([(rule, target)], reply.data or {}, said)[0], reply.model or model.name

    async def try_again(self, principal: Principal, agent_id: str) -> int:
        """Look anew at what failed in the last seven days; how much. Raises: AccessDenied, NotFound."""
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _require_agent(connection, agent_id)
            return await checks.try_again(connection, agent_id)

    async def _model(self, principal: Principal, agent_id: str) -> tuple[str, str]:
        if not is_uuid(agent_id):
            raise NotFound("There is no such agent in this workspace.")
        try:
            return (await self._reader.model(principal.workspace_id, agent_id)).name, ""
        except BuilderError as error:
            return "", error.message

    def _problems(self, rule: UpdateRule, targets: Mapping[str, Target], has_model: bool) -> RuleProblems:
        target = targets.get(rule.field)
        fits = target is not None and fit_value(target, rule.value, Said((), today=self._clock().date())) is not None
        return [*rule_problems(rule, targets, fits, has_model=has_model)]

    def _require_sound(self, rule: UpdateRule, targets: Mapping[str, Target]) -> Target:
        wrong = [p for p in self._problems(rule, targets, True) if not p.is_warning]
        if wrong:
            raise InputInvalid(wrong[0].message, field=wrong[0].field, reason=wrong[0].code)
        return targets[rule.field]

    def _shown(self, row: Row, targets: Mapping[str, Target], has_model: bool) -> UpdateRuleRow:
        rule = load(row)
        found = (
            tuple(self._problems(rule, targets, has_model))
            if rule
            else (RuleProblem("damaged", "when", "Save this rule again."),)
        )
        rule = rule or UpdateRule()
        target = targets.get(rule.field)
        return UpdateRuleRow(
            id=row["id"], agent_id=row["agent_id"], is_on=row["is_on"], rule=rule, target=target,
            sentence=sentence(rule, target.label if target else rule.field), problems=found, applied=row["applied"],
            applied_at=row["applied_at"], created_at=row["created_at"], updated_at=row["updated_at"],
        )  # fmt: skip

    async def _note(self, connection: Connection, principal: Principal, what: str, rule_id: str) -> None:
        await audit.append(connection, principal.actor, f"update_rule.{what}", {"rule": rule_id}, self._clock())


async def _found(connection: Connection, rule_id: str, *, for_update: bool = False) -> Row:
    row = await rows.get(connection, rule_id, for_update=for_update) if is_uuid(rule_id) else None
    if row is None:
        raise NotFound(NO_RULE)
    return row


async def _require_agent(connection: Connection, agent_id: str) -> None:
    if not is_uuid(agent_id) or not await rows.agent_exists(connection, agent_id):
        raise NotFound("There is no such agent in this workspace.")


def read(document: Mapping[str, Any]) -> UpdateRule:
    """A document that came from outside. Raises: InputInvalid."""
    try:
        return UpdateRule.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "rule"
        raise InputInvalid(f"“{where}” does not fit: {first['msg']}.", field=where) from None
