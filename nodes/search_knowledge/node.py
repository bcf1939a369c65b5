"""Search knowledge: find passages that answer the contact, with their sources, for the steps that follow."""

from __future__ import annotations

from typing import Literal

from graph_runtime.contract.errors import ConnectorError
from graph_runtime.contract.knowledge import KnowledgeAnswer, KnowledgePassage, KnowledgeQuery, as_sources
from graph_runtime.contract.messages import source_lines
from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, Port, setting


class Settings(NodeSettings):
    """Where to search, what for, and how sure the answer must be."""

    bases: tuple[str, ...] = setting(
        "Knowledge bases", default=(), widget="knowledge", max_length=50, help="None chosen: all of the workspace."
    )
    query: str = setting(
        "What to search for", default="", widget="line_template", max_length=2000,
        placeholder="{{ var.question }}", help="Empty: the contact's last message.",
    )  # fmt: skip
    save_to: str = setting(
        "Save the passages to", default="", widget="save_to", on_ports=("found",),
        help="As a text to put into a model's instructions: numbered passages with their sources.",
    )  # fmt: skip
    mode: Literal["hybrid", "keyword", "semantic"] = setting(
        "Search by", default="hybrid",
        options={"hybrid": "Words and meaning", "keyword": "Words only", "semantic": "Meaning only"},
        help="Meaning needs a key in the knowledge base that makes vectors. Without one, words are searched.",
    )  # fmt: skip
    top_k: int = setting("Passages at most", default=5, ge=1, le=20)
    threshold: float = setting(
        "How sure at least, from 0 to 1", default=0.4, ge=0, le=1,
        help="Passages below leave by “Not found”. Try your questions on the page of the knowledge base to find the value.",
    )  # fmt: skip
    neighbors: int = setting(
        "Passages around each one", default=0, ge=0, le=3, advanced=True,
        help="Adds what stands before and after in the document.",
    )  # fmt: skip
    tokens: int = setting("Longest text for a model, tokens", default=2000, ge=100, le=8000, advanced=True)
    is_own_language: bool = setting(
        "Only documents in the contact's language are searched", default=False, advanced=True
    )


NODE = NodeType(
    type="search_knowledge", category="data", label="Search knowledge",
    summary="Finds passages in your documents, with their sources.",
    settings=Settings, effect="none", latency="fast", story=("query",),
    outputs=(Port("found", "Found"), Port("not_found", "Not found"), Port("error", "Error", "error", optional=True)),
    step_outputs={
        "context": "Passages for a model", "passages": "List of passages", "sources": "Sources to show",
        "best": "Best passage, to be quoted", "sure": "How sure the best one is", "error": "What went wrong",
    },
)  # fmt: skip


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Search; hand over passages, or say that there are none."""
    text = ctx.render(settings.query).strip() or str(ctx.resolve("message.text") or "").strip()
    try:
        answer = await ctx.search_knowledge(_query(settings, ctx, text)) if text else KnowledgeAnswer()
    except ConnectorError as e:
        ctx.output("error", e.message)
        return Leave("error")
    ctx.output("sure", answer.best)
    ctx.output("error", answer.trouble)
    ctx.output("best", answer.passages[0].text if answer.passages else "")
    if not answer.passages:
        ctx.output("context", "")
        ctx.output("passages", [])
        ctx.output("sources", "")
        return Leave("not_found")
    ctx.output("context", answer.context)
    ctx.output("passages", [_listed(p) for p in answer.passages])
    ctx.output("sources", source_lines(as_sources(answer.passages)))
    if settings.save_to:
        ctx.set(settings.save_to, answer.context)
    return Leave("found")


def _query(settings: Settings, ctx: NodeContext, text: str) -> KnowledgeQuery:
    return KnowledgeQuery(
        text, bases=settings.bases, mode=settings.mode, top_k=settings.top_k, threshold=settings.threshold,
        neighbors=settings.neighbors, tokens=settings.tokens, languages=(ctx.language,) if settings.is_own_language else (),
    )  # fmt: skip


def _listed(passage: KnowledgePassage) -> dict[str, str | int | float]:
    return {
        "number": passage.number, "title": passage.title, "heading": passage.heading, "text": passage.text,
        "url": passage.url, "sure": passage.sure,
    }  # fmt: skip
