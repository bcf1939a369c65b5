"""Where vendors send people back to after they granted access: the page goes on under Connections."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import structlog
from fastapi import Query, Request
from starlette.responses import RedirectResponse

from graph_runtime.api.access import Member, member, router, services_of
from graph_runtime.contract.errors import BuilderError, CredentialRejected, InputInvalid

log = structlog.get_logger(__name__)
routes = router(member)
Given = Annotated[str, Query(max_length=4000)]


@routes.get("/oauth/callback", status_code=303)
async def callback(
    request: Request, who: Member, state: Given = "", code: Given = "", error: Given = ""
) -> RedirectResponse:
    """Take the code once, for the member who left with this state; then back to the page."""
    try:
        connected = await services_of(request).oauth.finish(who, state=state, code=code, error=error)
    except BuilderError as failure:
        log.warning("oauth_not_finished", code=failure.code)
        return _back({"failed": _reason(failure)})
    return _back({"connected": connected})


def _reason(failure: BuilderError) -> str:
    """A word for the page: what it says must not come out of an address that anybody can write."""
    if isinstance(failure, InputInvalid):
        return "denied" if failure.field == "code" else "over"
    return "refused" if isinstance(failure, CredentialRejected) else "other"


def _back(what: dict[str, str]) -> RedirectResponse:
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse(f"/connections?{urlencode(what)}", status_code=303, headers=headers)
