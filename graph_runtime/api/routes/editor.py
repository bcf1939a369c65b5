"""The WebSocket of the editor's canvas; the frames are described in docs/api.md."""

from __future__ import annotations

from fastapi import WebSocket

from graph_runtime.api.access import member_socket, router, services_of
from graph_runtime.api.editor.socket import EditorSocket
from graph_runtime.api.origins import from_our_pages

routes = router(member_socket)


@routes.websocket("/ws/editor/{flow_id}")
async def editor(socket: WebSocket, flow_id: str) -> None:
    """One tab with one flow open."""
    if not from_our_pages(socket, services_of(socket).settings.public_url):
        await socket.close(4403)
        return
    await socket.accept()
    await EditorSocket(socket, socket.app.state.rooms, flow_id).run()
