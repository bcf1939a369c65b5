"""The WebSocket that tells a member's tabs how many conversations wait for a person."""

from __future__ import annotations

from fastapi import WebSocket

from graph_runtime.api.access import member_socket, router, services_of
from graph_runtime.api.inbox_socket import InboxSocket
from graph_runtime.api.origins import from_our_pages

routes = router(member_socket)


@routes.websocket("/ws/inbox")
async def inbox(socket: WebSocket) -> None:
    """One tab."""
    if not from_our_pages(socket, services_of(socket).settings.public_url):
        await socket.close(4403)
        return
    await socket.accept()
    await InboxSocket(socket).run()
