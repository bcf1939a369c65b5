"""Our retriever as a Haystack component, for pipelines of Haystack. The program itself searches without loading Haystack."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack import Document, Pipeline, component

from graph_runtime.knowledge.search import Embed, SearchSettings, search
from graph_runtime.storage.database import Database
from graph_runtime.storage.passages import Scope


@component
class PassageRetriever:
    """A query → documents, best first; `meta`: title, heading, what each retriever thought, how sure it is."""

    def __init__(
        self,
        database: Database,
        workspace_id: str,
        scope: Scope,
        settings: SearchSettings | None = None,
        embeds: Sequence[tuple[Sequence[str], Embed]] = (),
    ) -> None:
        self._database = database
        self._workspace_id = workspace_id
        self._scope = scope
        self._settings = settings
        self._embeds = embeds

    @component.output_types(documents=list[Document])
    def run(self, query: str) -> dict[str, Any]:
        """The database is asked asynchronously; run the pipeline with `run_async`."""
        raise RuntimeError("PassageRetriever is asked with run_async.")

    @component.output_types(documents=list[Document])
    async def run_async(self, query: str) -> dict[str, Any]:
        """The passages that a model would be given."""
        result = await search(self._database, self._workspace_id, self._scope, query, self._settings, self._embeds)
        documents = [
            Document(
                id=f.id, content=f.text, score=f.score,
                meta={
                    "title": f.title, "heading": f.heading, "document_id": f.document_id, "sure": f.sure,
                    "ranks": {name: vote.rank for name, vote in f.votes.items()},
                },
            )
            for f in result.results
        ]  # fmt: skip
        return {"documents": documents}


def retrieving(retriever: PassageRetriever) -> Pipeline:
    """A pipeline of the retriever alone, to build upon."""
    pipeline = Pipeline()
    pipeline.add_component("retriever", retriever)
    return pipeline
