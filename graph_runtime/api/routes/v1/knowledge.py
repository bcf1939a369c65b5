"""Knowledge over the public API: what there is, bringing articles and files, how far reading is, searching."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query, Request

from graph_runtime.api.access import key_with, router, services_of
from graph_runtime.api.routes.v1.knowledge_shapes import (
    ArticleChange,
    Bases,
    Document,
    Documents,
    ListedDocuments,
    NewArticle,
    Search,
    SearchAnswer,
)
from graph_runtime.services.knowledge_search import SearchSettings
from graph_runtime.services.principal import Principal

may_read = key_with("knowledge:read")
may_write = key_with("knowledge:write")
reading = router(may_read, "/api/v1", tags=["Knowledge"])
writing = router(may_write, "/api/v1", tags=["Knowledge"])
Reader = Annotated[Principal, Depends(may_read)]
Writer = Annotated[Principal, Depends(may_write)]
_BYTES = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}  # fmt: skip


@reading.get("/knowledge-bases", response_model=Bases, summary="List knowledge bases")
async def list_bases(request: Request, who: Reader) -> Any:
    """All of the workspace, by name."""
    return {"knowledge_bases": await services_of(request).knowledge_bases.list(who)}


@reading.get("/knowledge-bases/{base_id}/documents", response_model=Documents, summary="List documents")
async def list_documents(
    request: Request, base_id: str, who: Reader, wanted: Annotated[ListedDocuments, Query()]
) -> Any:
    """Newest first, of a category with all below it."""
    rows = await services_of(request).knowledge_documents.list(
        who, base_id, category_id=wanted.category_id, state=wanted.state, before=wanted.cursor, limit=wanted.limit
    )
    return {"documents": rows, "next_cursor": rows[-1].id if len(rows) == wanted.limit else ""}


@writing.post("/knowledge-bases/{base_id}/articles", status_code=201, response_model=Document, summary="Add an article")
async def add_article(request: Request, base_id: str, body: NewArticle, who: Writer) -> Any:
    """It is read by a worker; ask for the document until its state is `ready`."""
    return await services_of(request).knowledge_documents.add_article(
        who, base_id, body.title, body.text, category_id=body.category_id, publish=body.publish, language=body.language
    )


@writing.post(
    "/knowledge-bases/{base_id}/files", status_code=201, response_model=Document, summary="Add a file",
    openapi_extra=_BYTES,
)  # fmt: skip
async def add_file(
    request: Request,
    base_id: str,
    who: Writer,
    name: Annotated[str, Query(max_length=400, description="Of the file, with its ending.")] = "file.txt",
    category_id: Annotated[str, Query(max_length=60)] = "",
) -> Any:
    """The body is the file, up to 25 MB; what it is, its bytes say. The same file again is 409 `conflict`."""
    content = await request.body()
    return await services_of(request).knowledge_documents.add_file(who, base_id, name, content, category_id=category_id)


@reading.get("/documents/{document_id}", response_model=Document, summary="Read how far a document is")
async def read_document(request: Request, document_id: str, who: Reader) -> Any:
    """Its state, and why it could not be read."""
    return await services_of(request).knowledge_documents.get(who, document_id)


@writing.put("/documents/{document_id}", response_model=Document, summary="Change an article")
async def change_document(request: Request, document_id: str, body: ArticleChange, who: Writer) -> Any:
    """New words of an article or of a pair. Agents keep to the old ones until the new ones are read."""
    return await services_of(request).knowledge_documents.save(
        who, document_id, title=body.title, text=body.text, publish=body.publish
    )


@writing.delete("/documents/{document_id}", status_code=204, summary="Delete a document")
async def delete_document(request: Request, document_id: str, who: Writer) -> None:
    """Delete it with its passages and its file."""
    await services_of(request).knowledge_documents.delete(who, document_id)


@reading.post("/knowledge-bases/{base_id}/search", response_model=SearchAnswer, summary="Search a knowledge base")
async def search(request: Request, base_id: str, body: Search, who: Reader) -> Any:
    """As the step “Search knowledge” does."""
    settings = SearchSettings(body.mode, body.top_k, body.threshold, body.neighbors)
    trial = await services_of(request).knowledge_search.try_query(
        who, base_id, body.query, settings, category_id=body.category_id, language=body.language,
        newest_days=body.newest_days,
    )  # fmt: skip
    result = trial.result
    return {
        "passages": result.results,
        "best": result.best,
        "corrected": {word: list(known) for word, known in result.corrected.items()},
        "trouble": result.trouble,
        "unranked": result.unranked,
    }
