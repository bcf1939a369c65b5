"""Two kinds of channels that the product does not have yet, so that every send class is proven: BLIND and RECONCILE.

Both post to the webhook receiver, which folds nothing for them; the RECONCILE one can ask whether a key arrived.
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from graph_runtime.contract.capabilities import Capabilities
from graph_runtime.contract.channels import ChannelHttp, ChannelOffer, OutboundMessage, Rate
from graph_runtime.contract.connectors import Connector, CredentialSettings
from graph_runtime.contract.errors import RateLimited, Refused, Unreachable
from graph_runtime.contract.messages import plain_text

EVIDENCE_SECONDS = 0.3
SECONDS = 3.0


class Settings(CredentialSettings):
    """Where the fake vendor is. `on_unknown` as in the outbox."""

    url: str = ""
    on_unknown: str = "at_least_once"


async def send(settings: Settings, message: OutboundMessage, http: ChannelHttp) -> str:
    """Post one message, with a key that only `find` looks at."""
    body = json.dumps({"text": "\n".join(map(plain_text, message.parts)), "to": message.recipient, "seq": message.seq})
    answer = await http.request("POST", settings.url, headers={"x-key": message.key}, body=body, seconds=SECONDS)
    if answer.status == 429:
        raise RateLimited("Pause.", retry_after=float(answer.headers["retry-after"]))
    if answer.status >= 500:
        raise Unreachable("The vendor failed.")
    if answer.status >= 400:
        raise Refused("The vendor refused.")
    return str(json.loads(answer.body)["id"])


async def find(settings: Settings, message: OutboundMessage, http: ChannelHttp) -> str | None:
    """Ask the vendor whether the key arrived."""
    answer = await http.request("GET", f"{settings.url}?key={message.key}", headers={}, seconds=SECONDS)
    return str(json.loads(answer.body)["id"]) if answer.status == 200 else None


def private_host(settings: Settings) -> str:
    """The fake listens on this machine."""
    return urlsplit(settings.url).netloc


BLIND = Connector(
    id="fake_blind",
    label="Blind",
    summary="Knows no keys.",
    settings=Settings,
    kinds=frozenset({"channel"}),
    needs_credential=False,
    channel=ChannelOffer(
        capabilities=Capabilities(40, 0, 0, False, False, False, "blind"),
        send=send,
        private_host=private_host,
        one_part_per_request=True,
    ),
)
RECONCILE = Connector(
    id="fake_reconcile",
    label="Reconcile",
    summary="Gives our key back.",
    settings=Settings,
    kinds=frozenset({"channel"}),
    needs_credential=False,
    channel=ChannelOffer(
        capabilities=Capabilities(4000, 0, 0, False, False, False, "reconcile"),
        send=send,
        find=find,
        private_host=private_host,
        evidence_seconds=EVIDENCE_SECONDS,
        recipient_rate=Rate(messages=1000, seconds=1.0, burst=10),
    ),
)
