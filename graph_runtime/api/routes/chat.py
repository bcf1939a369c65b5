"""The web chat: pages, the visitor's socket, and the files they send."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Request, UploadFile, WebSocket
from fastapi.params import File
from starlette.responses import FileResponse, Response

from graph_runtime.api.access import Member, anyone, member, router, services_of, visitor
from graph_runtime.api.chat.page import STATIC, origins, page
from graph_runtime.api.chat.page import about as page_about
from graph_runtime.api.chat.socket import ChatSocket
from graph_runtime.api.headers import STORED_FILE
from graph_runtime.api.limits import MAX_UPLOAD_BYTES, Places, Windows
from graph_runtime.api.origins import client_address, from_our_pages
from graph_runtime.api.visitors import VisitorTokens
from graph_runtime.contract.errors import NotFound, NotSignedIn, TooMany
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.files import StoredFile

pages = router(anyone)
routes = router(visitor)
member_routes = router(member)


@pages.get("/chat/{public_id}")
async def hosted_page(request: Request, public_id: str) -> Response:
    """The chat as a page of its own."""
    return await _page(request, public_id, in_frame=False)


@pages.get("/widget/{public_id}")
async def widget_page(request: Request, public_id: str) -> Response:
    """The chat inside another site's page."""
    return await _page(request, public_id, in_frame=True)


@pages.get("/widget.js")
async def widget_script() -> Response:
    """The script that other sites include."""
    headers = {
        "Cache-Control": "public, max-age=300",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Access-Control-Allow-Origin": "*",
    }
    return FileResponse(STATIC / "widget.js", media_type="text/javascript", headers=headers)


@routes.websocket("/ws/chat/{public_id}")
async def chat(socket: WebSocket, public_id: str) -> None:
    """One visitor; the frames are described in docs/api.md."""
    services = services_of(socket)
    try:
        found = await services.channels.web_chat(public_id)
    except NotFound as error:
        await socket.accept()
        await socket.close(4404, error.message[:100])
        return
    if not from_our_pages(socket, services.settings.public_url, also=origins(found.allowed_origins)):
        await socket.close(4403)
        return
    places: Places = socket.app.state.chat_places
    await socket.accept()
    try:
        with places.one(client_address(socket)):
            await ChatSocket(socket, found, public_id, _tokens(socket)).run()
    except TooMany as error:
        await socket.close(4429, error.message[:100])


@routes.get("/api/chat/{public_id}")
async def about(request: Request, public_id: str) -> dict[str, Any]:
    """What a page needs before it connects: name, looks, language, and whether the chat is open."""
    return page_about(public_id, await services_of(request).channels.web_chat(public_id))


@routes.post("/api/chat/{public_id}/files", status_code=201)
async def upload(request: Request, public_id: str, file: Annotated[UploadFile, File()]) -> dict[str, Any]:
    """A file for the visitor's current conversation, to be named in a following message. At most 20 MB."""
    access, conversation_id = await _visitor(request, public_id)
    uploads: Windows = request.app.state.uploads
    uploads.take(access.external_user_id)
    content = await file.read(MAX_UPLOAD_BYTES + 1)
    added = await services_of(request).files.add(access, conversation_id, content)
    return added.model_dump()


@routes.get("/api/chat/{public_id}/files/{file_id}")
async def visitor_file(request: Request, public_id: str, file_id: str) -> Response:
    """A file of the visitor's own conversation."""
    access, _ = await _visitor(request, public_id)
    return _file(await services_of(request).files.read(access, file_id))


@member_routes.get("/api/builder/files/{file_id}")
async def member_file(request: Request, file_id: str, who: Member) -> Response:
    """A file in a transcript."""
    return _file(await services_of(request).files.read(who, file_id))


@member_routes.post("/api/builder/conversations/{conversation_id}/files", status_code=201)
async def member_upload(request: Request, conversation_id: str, who: Member) -> dict[str, Any]:
    """The body is a file for what a member says next in a conversation. At most 20 MB; what it is, its bytes say."""
    return (await services_of(request).files.add(who, conversation_id, await request.body())).model_dump()


async def _visitor(request: Request, public_id: str) -> tuple[ChannelAccess, str]:
    """What the visitor's token opens, and their current conversation. Raises: NotSignedIn, NotFound."""
    services = services_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    known = _tokens(request).read(token.strip(), public_id) if scheme.lower() == "bearer" else None
    if known is None:
        raise NotSignedIn("Open the chat first: the header “Authorization: Bearer …” carries the token of its welcome.")
    access = (await services.channels.web_chat(public_id)).access(known.id)
    conversation_id = await services.conversations.start(access, dedupe_key=f"{known.id}:{known.dialogue}")
    return access, conversation_id


def _tokens(connection: Request | WebSocket) -> VisitorTokens:
    tokens: VisitorTokens = connection.app.state.visitor_tokens
    return tokens


def _file(stored: StoredFile) -> Response:
    place = "inline" if stored.kind.inline else "attachment"
    headers = {
        "Content-Disposition": f"{place}; filename*=UTF-8''{quote(stored.about.name)}",
        "Content-Security-Policy": STORED_FILE,
        "Cache-Control": "private, max-age=3600",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(stored.content, media_type=stored.about.mime, headers=headers)


async def _page(request: Request, public_id: str, *, in_frame: bool) -> Response:
    services = services_of(request)
    try:
        found = await services.channels.web_chat(public_id)
    except NotFound:
        found = None
    return page(public_id, found, in_frame=in_frame, public_url=services.settings.public_url)
