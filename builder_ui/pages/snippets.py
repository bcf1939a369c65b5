"""Lines to copy: the web chat's tag and the first API requests. {origin} becomes this site's address in the browser."""

from __future__ import annotations


def widget_tag(public_id: str) -> str:
    """The one line that puts the web chat on a site."""
    return f'<script src="{{origin}}/widget.js" data-agent="{public_id}" async></script>'


def curl_quickstart(agent_id: str) -> str:
    """Start a conversation and say something, in a shell."""
    return f"""export PATCHCORD_KEY=pck_…

curl {{origin}}/api/v1/agents/{agent_id}/conversations \\
  -H "Authorization: Bearer $PATCHCORD_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"external_user_id": "client-42"}}'

curl {{origin}}/api/v1/conversations/CONVERSATION_ID/messages \\
  -H "Authorization: Bearer $PATCHCORD_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"text": "Hello", "wait": true}}'"""


def python_quickstart(agent_id: str) -> str:
    """The same in Python with httpx."""
    return f"""import os, httpx

api = httpx.Client(
    base_url="{{origin}}/api/v1",
    headers={{"Authorization": f"Bearer {{os.environ['PATCHCORD_KEY']}}"}},
    timeout=60,
)
talk = api.post("/agents/{agent_id}/conversations",
                json={{"external_user_id": "client-42"}}).json()
answer = api.post(f"/conversations/{{talk['id']}}/messages",
                  json={{"text": "Hello", "wait": True}}).json()
for message in answer["messages"]:
    print(message["text"])"""


EVENT_VERIFICATION = """import base64, hashlib, hmac, os, time

def is_genuine(headers, body: bytes) -> bool:
    message_id, stamp = headers["webhook-id"], headers["webhook-timestamp"]
    secret = os.environ["PATCHCORD_EVENTS_SECRET"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{stamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    given = headers["webhook-signature"].split(" ")
    return abs(time.time() - int(stamp)) < 300 and any(
        hmac.compare_digest(expected, one) for one in given)"""
"""How a receiver of events verifies one, in Python with nothing installed."""
