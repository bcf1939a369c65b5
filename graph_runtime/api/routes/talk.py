"""The WebSocket of a talk; its frames are described in docs/api.md."""

from __future__ import annotations

from fastapi import WebSocket

from graph_runtime.api.access import member_socket, router, services_of
from graph_runtime.api.origins import from_our_pages
from graph_runtime.api.talk.socket import TalkSocket

routes = router(member_socket)


@routes.websocket("/ws/talk/{ticket}")
async def talk(socket: WebSocket, ticket: str) -> None:
    """A member tries an agent with their own voice; the ticket came over the editor's socket."""
    if not from_our_pages(socket, services_of(socket).settings.public_url):
        await socket.close(4403)
        return
    await socket.accept()
    await TalkSocket(socket).run(ticket)
