"""State of the update rules on an agent's page: the list, the form, trying a rule, and what rules changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from builder_ui.i18n import text
from builder_ui.pages.update_changes_state import RuleChanges
from builder_ui.pages.update_rows import (
    EMPTY_FORM,
    ProblemItem,
    RuleItem,
    TargetItem,
    document_of,
    form_of,
    problem_item,
    rule_item,
    shown,
    target_item,
)
from builder_ui.session import handler, services
from graph_runtime.contract.errors import ConnectorError, InputInvalid, NotFound

if TYPE_CHECKING:
    from graph_runtime.contract.crm import Entity
    from graph_runtime.services.principal import Principal

QUIET: Final = ("when", "field", "value", "crm_field")
NONE: Final = "-"
"""The choice of nothing: an empty one cannot be chosen."""
"""Problems of a form that is not filled in yet."""


@dataclass(frozen=True)
class CrmItem:
    """A customer system, or a field of one."""

    id: str = ""
    label: str = ""


@dataclass(frozen=True)
class TrialItem:
    """What a rule would do with a sentence. `reason` "": it would set `value`."""

    is_done: bool = False
    reason: str = ""
    value: str = ""
    sentence: str = ""
    percent: int = 0
    model: str = ""


class AgentRules(RuleChanges):
    """Everything in the section of update rules."""

    rules: list[RuleItem] = []
    targets: list[TargetItem] = []
    model: str = ""
    has_model_problem: bool = False
    failed: int = 0
    may_edit: bool = False
    form: dict[str, str] = EMPTY_FORM
    options: list[str] = []
    crms: list[CrmItem] = []
    crm_fields: list[CrmItem] = []
    crm_problem: str = ""
    problems: list[ProblemItem] = []
    trial: TrialItem = TrialItem()
    is_form_open: bool = False
    is_saving: bool = False
    is_trying: bool = False
    doomed: str = ""

    def _agent(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    async def _refresh(self, who: Principal) -> None:
        self._agent_id, self._contact_id = self._agent(), ""
        language = self.me.language or "en"
        around = await services().update_rules.around(who, self._agent_id)
        self.targets = [target_item(target, language) for target in around.targets]
        self.model, self.has_model_problem = around.model, bool(around.model_problem)
        self.failed = around.failed
        self.rules = [rule_item(r, language) for r in await services().update_rules.list(who, self._agent_id)]
        await self._read_changes(who)

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_form_open = self.is_saving = self.is_trying = False
        self.rules, self.proposals, self.changes, self.doomed = [], [], [], ""
        self.may_edit = "agent.edit" in who.scopes
        try:
            await self._refresh(who)
        except NotFound:
            return

    @handler
    async def refresh(self, who: Principal) -> None:
        """Look anew."""
        await self._refresh(who)

    @handler
    async def begin(self, who: Principal, rule_id: str) -> None:
        """Open the form, for a rule that there is or a new one ("")."""
        row = await services().update_rules.get(who, rule_id) if rule_id else None
        await self._refresh(who)
        self.form = form_of(row) if row else EMPTY_FORM
        self.trial = TrialItem()
        await self._read_crm(who)
        await self._look(who)
        self.is_form_open = True

    async def _read_crm(self, who: Principal) -> None:
        """The customer systems there are, and the fields of the chosen one."""
        self.crms, self.crm_fields, self.crm_problem = [], [], ""
        if "credential.use" not in who.scopes:
            return
        kinds = {c.id: c.kinds for c in services().credentials.connectors()}
        found = await services().credentials.list(who, for_agent=self._agent_id)
        self.crms = [CrmItem(str(r.id), r.label) for r in found if "crm" in kinds.get(r.connector, ())]
        if not self.form["crm"]:
            return
        if self.form["crm"] not in {c.id for c in self.crms}:
            self.crm_problem = text(self.me.language or "en", "update_rules.crm_gone")
            return
        entity: Entity = "lead" if self.form["crm_entity"] == "lead" else "contact"
        try:
            options = await services().remote_options.of_connection(who, self.form["crm"], "crm.fields", entity)
        except ConnectorError as error:
            self.crm_problem = services().catalog.in_language(error.message, self.me.language or "en")
            return
        self.crm_fields = [CrmItem(o.id, o.label) for o in options if o.id != "tags"]

    async def _look(self, who: Principal) -> None:
        """What is wrong with the form as it is."""
        language = self.me.language or "en"
        self.options = next(([*t.options] for t in self.targets if t.key == self.form["field"]), [])
        try:
            found = await services().update_rules.check(who, self._agent(), document_of(self.form))
        except InputInvalid as error:
            self.problems = [ProblemItem("shape", error.message, False)]
            return
        self.problems = [problem_item(p, language) for p in found if p.code not in QUIET]

    @handler
    async def close_form(self, who: Principal, is_open: bool) -> None:
        """Close the form without saving."""
        if not is_open:
            self.is_form_open = False

    @handler
    async def put(self, who: Principal, name: str, value: str) -> None:
        """One field was filled in."""
        if name in EMPTY_FORM and name != "id":
            self.form = {**self.form, name: "" if value == NONE else str(value)[:2000]}
            self.trial = TrialItem()
            if name in ("crm", "crm_entity"):
                self.form = {**self.form, "crm_field": ""}
                await self._read_crm(who)
            await self._look(who)

    @handler
    async def try_out(self, who: Principal, form: dict[str, Any]) -> Any:
        """What the rule would do with a sentence; changes nothing."""
        if self.is_trying:
            return
        self.is_trying = True
        yield
        try:
            said, question = str(form.get("trial_text") or "")[:2000], str(form.get("trial_question") or "")[:2000]
            read, model = await services().update_rules.try_out(
                who, self._agent(), document_of(self.form), said, question
            )
            percent = round(read.confidence * 100)
            value = shown(read.value, self.me.language or "en")
            self.trial = TrialItem(True, read.reason, value, read.sentence, percent, model)
        finally:
            self.is_trying = False

    @handler
    async def save(self, who: Principal) -> Any:
        """Make the rule, or change it."""
        if self.is_saving or not self.is_form_open:
            return
        self.is_saving = True
        yield
        document = document_of(self.form)
        try:
            if self.form["id"]:
                await services().update_rules.update(who, self.form["id"], document)
            else:
                await services().update_rules.create(who, self._agent(), document)
            self.is_form_open = False
            await self._refresh(who)
            self._tell("update_rules.saved")
        except InputInvalid as error:
            language = self.me.language or "en"
            found = await services().update_rules.check(who, self._agent(), document)
            self.problems = [problem_item(p, language) for p in found] or [ProblemItem("shape", error.message, False)]
        finally:
            self.is_saving = False

    @handler
    async def switch(self, who: Principal, rule_id: str, is_on: bool) -> None:
        """Let it listen, or stop it."""
        await services().update_rules.set_on(who, rule_id, bool(is_on))
        await self._refresh(who)
        self._tell("update_rules.is_on_now" if is_on else "update_rules.is_off_now")

    @handler
    async def ask_delete(self, who: Principal, rule_id: str) -> None:
        """Ask before deleting."""
        self.doomed = str(rule_id)

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Close the question without deleting."""
        if not is_open:
            self.doomed = ""

    @handler
    async def delete(self, who: Principal) -> None:
        """Delete the rule."""
        if self.doomed:
            rule_id, self.doomed = self.doomed, ""
            await services().update_rules.delete(who, rule_id)
            await self._refresh(who)
            self._tell("update_rules.deleted")

    @handler
    async def try_again(self, who: Principal) -> None:
        """Look anew at what failed."""
        await services().update_rules.try_again(who, self._agent())
        await self._refresh(who)
        self._tell("update_rules.again_now")
