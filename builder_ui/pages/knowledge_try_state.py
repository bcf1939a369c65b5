"""State of trying a query: what was found, why, and what a model would be given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from builder_ui.pages.knowledge_base_state import KnowledgeBase
from builder_ui.pages.knowledge_store_state import in_words
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.errors import InputInvalid
from graph_runtime.services.knowledge_search import TOTAL, SearchSettings

if TYPE_CHECKING:
    from graph_runtime.services.knowledge_search import Tried
    from graph_runtime.services.principal import Principal


@dataclass(frozen=True)
class Piece:
    """A run of text; `is_hit`: it is what was searched for."""

    text: str
    is_hit: bool


@dataclass(frozen=True)
class VoteItem:
    """What one way of searching thought: its rank, its own score, and the words it found."""

    way: str
    rank: int
    score: str
    words: str


@dataclass(frozen=True)
class FoundItem:
    """A passage that was considered. `sure` in percent."""

    key: str
    title: str
    heading: str
    sure: int
    goes: bool
    votes: list[VoteItem] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)


def found_item(tried: Tried) -> FoundItem:
    """From the services' row."""
    f = tried.found
    votes = [VoteItem(way, v.rank, f"{v.score:.2f}", ", ".join(v.words)) for way, v in sorted(f.votes.items())]
    heading = f.heading if f.heading != f.title else ""
    return FoundItem(
        f.id, f.title, heading, round(f.sure * 100), f.goes, votes, [Piece(text, hit) for text, hit in tried.pieces]
    )


class KnowledgeTry(Session):
    """One query after the other; nothing is kept."""

    query: str = ""
    mode: str = "hybrid"
    found: list[FoundItem] = []
    words: str = ""
    corrected: list[str] = []
    trouble: str = ""
    away: str = ""
    unranked: str = ""
    prompt: str = ""
    going: int = 0
    ms: str = ""
    is_asked: bool = False
    is_asking: bool = False

    @handler
    async def choose_mode(self, who: Principal, mode: str) -> None:
        """How to search."""
        self.mode = mode if mode in ("hybrid", "keyword", "semantic") else "hybrid"

    @handler
    async def ask(self, who: Principal, form: dict[str, Any]) -> Any:
        """Search and explain."""
        base = await self.get_state(KnowledgeBase)
        self.query = text_of(form, "query", required=True, limit=2000)
        self.is_asking = True
        yield
        try:
            settings = SearchSettings(
                mode=self.mode,  # type: ignore[arg-type]  # checked when it was chosen
                top_k=int(_number(form, "top_k", 5, 1, 20)),
                threshold=_number(form, "threshold", 0.4, 0, 1),
            )
            days, language = _number(form, "days", 0, 0, 3650), str(form.get("language") or "any")
            trial = await services().knowledge_search.try_query(
                who, base.base_id, self.query, settings, category_id=base.category,
                language="" if language == "any" else language, newest_days=int(days),
            )  # fmt: skip
            result = trial.result
            self.found = [found_item(t) for t in trial.passages[:20]]
            self.words = ", ".join(result.words)
            self.corrected = [f"{word} → {', '.join(known)}" for word, known in result.corrected.items()]
            self.trouble, self.prompt, self.going = result.trouble, trial.prompt, len(result.results)
            self.unranked = result.unranked
            self.away = in_words(result.away, self.me.language or "en")
            self.ms = str(round(result.ms[TOTAL])) if result.ms else "0"
            self.is_asked = True
        finally:
            self.is_asking = False


def _number(form: dict[str, Any], name: str, default: float, least: float, most: float) -> float:
    text = str(form.get(name) or "").strip().replace(",", ".")
    try:
        value = float(text) if text else default
    except ValueError:
        raise InputInvalid("Write a number.", field=name) from None
    return max(least, min(most, value))
