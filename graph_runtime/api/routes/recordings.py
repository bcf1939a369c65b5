"""Recordings of calls, for members who may read the conversation: listened to, saved, deleted."""

from __future__ import annotations

import re
from typing import Annotated
from uuid import UUID

from fastapi import Path, Request
from starlette.responses import Response, StreamingResponse

from graph_runtime.api.access import Member, member, router, services_of

routes = router(member, "/api/builder/calls")
CallId = Annotated[UUID, Path()]
_RANGE = re.compile(r"bytes=(\d{1,12})-(\d{0,12})")


@routes.get("/{call_id}/recording")
async def listen(request: Request, call_id: CallId, who: Member, save: bool = False) -> Response:
    """A WAV file, the caller left and the agent right; a player may ask for a range. `save`: it is downloaded."""
    recordings = services_of(request).call_recordings
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    start = int(asked[1]) if asked else 0
    sound = await recordings.open(who, str(call_id), is_begun=not start)
    if start >= sound.size:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{sound.size}"})
    place = "attachment" if save else "inline"
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'{place}; filename="call-{call_id}.wav"',
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    headers["Content-Length"] = str(sound.size - start)
    if asked:
        headers["Content-Range"] = f"bytes {start}-{sound.size - 1}/{sound.size}"
    return StreamingResponse(recordings.read(who, sound, start), 206 if asked else 200, headers, "audio/wav")


@routes.delete("/{call_id}/recording", status_code=204)
async def delete(request: Request, call_id: CallId, who: Member) -> None:
    """For good; the transcript stays."""
    await services_of(request).call_recordings.delete(who, str(call_id))
