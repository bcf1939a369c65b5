"""State of the questions that a knowledge base did not answer, and of what there is to tidy up in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from builder_ui.pages.knowledge_base_state import KnowledgeBase
from builder_ui.rows import NamedItem, moment
from builder_ui.session import Session, handler, services
from graph_runtime.contract.errors import NotFound

if TYPE_CHECKING:
    from graph_runtime.services.knowledge_questions import QuestionRow, QuestionState
    from graph_runtime.services.principal import Principal

STATES = ("open", "answered", "dismissed")


@dataclass(frozen=True)
class QuestionItem:
    """A question in the list; `talk_path` leads to the newest conversation in which it was asked."""

    id: str = ""
    text: str = ""
    reason: str = ""
    people: int = 0
    asked_at: str = ""
    agent: str = ""
    talk_path: str = ""
    document_id: str = ""
    document: str = ""


@dataclass(frozen=True)
class AskingItem:
    """One time it was asked. `best` in percent."""

    key: str
    text: str
    reason: str
    best: int
    agent: str
    asked_at: str
    talk_path: str


@dataclass(frozen=True)
class StaleItem:
    """A document that answered nobody for long."""

    id: str
    title: str
    changed_at: str


@dataclass(frozen=True)
class TwinItem:
    """Two documents that say the same."""

    key: str
    one: str
    other: str
    passages: int


def question_item(row: QuestionRow) -> QuestionItem:
    """From the services' row."""
    return QuestionItem(
        row.id, row.text, row.reason, row.people, moment(row.asked_at), row.agent,
        f"/conversations?id={row.conversation_id}", row.document_id, row.document,
    )  # fmt: skip


class KnowledgeQuestions(Session):
    """The list; an answer is written in the form of the base's page."""

    state: str = "open"
    agent: str = ""
    agents: list[NamedItem] = []
    questions: list[QuestionItem] = []
    open_count: int = 0
    opened: QuestionItem = QuestionItem()
    askings: list[AskingItem] = []
    stale: list[StaleItem] = []
    twins: list[TwinItem] = []

    async def _refresh(self, who: Principal) -> None:
        base = await self.get_state(KnowledgeBase)
        asked = services().knowledge_questions
        state = cast("QuestionState", self.state)
        found = await asked.list(who, base.base_id, state=state, agent_id=self.agent)
        self.questions = [question_item(row) for row in found]
        if self.state == "open" and not self.agent:
            self.open_count = len(found)

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.state, self.agent, self.opened, self.askings = "open", "", QuestionItem(), []
        self.questions, self.agents, self.stale, self.twins, self.open_count = [], [], [], [], 0
        base = await self.get_state(KnowledgeBase)
        asked = services().knowledge_questions
        try:
            await self._refresh(who)
            self.agents = [NamedItem(i, name) for i, name in await asked.agents(who, base.base_id)]
            health = await asked.health(who, base.base_id)
        except NotFound:
            return
        self.stale = [StaleItem(i, title, moment(at)) for i, title, at in health.stale]
        self.twins = [TwinItem(f"{one}{other}", a, b, n) for one, a, other, b, n in health.twins]

    @handler
    async def again(self, who: Principal) -> None:
        """Something was written: look again."""
        await self._refresh(who)

    @handler
    async def choose_state(self, who: Principal, state: str | list[str]) -> None:
        """Open ones, answered ones, or those that need no answer."""
        self.state = state if isinstance(state, str) and state in STATES else "open"
        await self._refresh(who)

    @handler
    async def choose_agent(self, who: Principal, agent_id: str) -> None:
        """Of one agent ("all": of every one)."""
        self.agent = "" if agent_id == "all" else agent_id
        await self._refresh(who)

    @handler
    async def write(self, who: Principal, question_id: str, kind: str) -> None:
        """Open the form of the base with the question in it."""
        row, _ = await services().knowledge_questions.get(who, question_id)
        base = await self.get_state(KnowledgeBase)
        base.form_kind, base.form_id = ("pair" if kind == "pair" else "article"), ""
        base.form_title, base.form_text, base.form_preview = row.text, "", ""
        base.form_is_published, base.form_question = False, row.id
        self.opened = QuestionItem()

    @handler
    async def look(self, who: Principal, question_id: str) -> None:
        """When and where it was asked."""
        row, asked = await services().knowledge_questions.get(who, question_id)
        self.opened = question_item(row)
        self.askings = [
            AskingItem(
                f"{a.conversation_id}{a.asked_at}", a.text, a.reason, round(a.best * 100), a.agent, moment(a.asked_at),
                f"/conversations?id={a.conversation_id}",
            )
            for a in asked
        ]  # fmt: skip

    @handler
    async def close_look(self, who: Principal, is_open: bool) -> None:
        """Back to the list."""
        if not is_open:
            self.opened, self.askings = QuestionItem(), []

    @handler
    async def dismiss(self, who: Principal, question_id: str) -> None:
        """It needs no answer."""
        await services().knowledge_questions.dismiss(who, question_id)
        self.opened = QuestionItem()
        await self._refresh(who)

    @handler
    async def reopen(self, who: Principal, question_id: str) -> None:
        """It needs an answer after all."""
        await services().knowledge_questions.reopen(who, question_id)
        await self._refresh(who)
