"""Asterisk's REST interface (ARI), as far as a transfer needs it: a call that an application holds goes on in the dialplan."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import quote, urlencode

from connectors.asterisk import words as told
from connectors.asterisk.line import Settings
from graph_runtime.contract.channels import ChannelHttp
from graph_runtime.contract.errors import CredentialRejected, Refused, Unreachable

SECONDS: Final = 2.5
_REFUSALS: Final = {404: told.NO_CALL, 409: told.NOT_HELD, 412: told.NOT_NOW}


async def carry_on(settings: Settings, channel: str, extension: str, http: ChannelHttp) -> None:
    """The channel leaves its application for an extension of the line's context.

    Raises: Unreachable, CredentialRejected, Refused (it was not moved); OutcomeUnknown.
    """
    place = urlencode({"context": settings.context, "extension": extension, "priority": "1"})
    who = f"{settings.ari_user}:{settings.ari_password.get_secret_value()}"
    answer = await http.request(
        "POST",
        f"{settings.ari_address.rstrip('/')}/channels/{quote(channel, safe='')}/continue?{place}",
        headers={"Authorization": f"Basic {base64.b64encode(who.encode()).decode()}"},
        seconds=SECONDS,
    )
    if answer.status < 300:
        return
    if answer.status in (401, 403):
        raise CredentialRejected(told.REST_REFUSED)
    if answer.status in _REFUSALS:
        raise Refused(_REFUSALS[answer.status])
    raise Unreachable(told.REST_FAILED.format(status=answer.status))
