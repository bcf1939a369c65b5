"""What `new-connector` writes: a channel that signs with HMAC-SHA256 and talks JSON, as most vendors do."""

from __future__ import annotations

CONNECTOR = '''"""@LABEL@: a place where people write."""

from __future__ import annotations

from connectors.@NAME@.channel import OFFER, Settings
from graph_runtime.contract.connectors import Connector

CONNECTOR = Connector(
    id="@NAME@",
    label="@LABEL@",
    summary="Answers what people write there.",
    settings=Settings,
    kinds=frozenset({"channel"}),
    channel=OFFER,
)
'''

CHANNEL = '''"""@LABEL@ as a channel: who may post to us, what they say in our words, and what we say in theirs."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import SecretStr

from graph_runtime.contract.capabilities import Capabilities
from graph_runtime.contract.channels import (
    ChannelHttp,
    ChannelOffer,
    HttpAnswer,
    InboundMessage,
    OutboundMessage,
    Rate,
    SignatureRefused,
    retry_after,
)
from graph_runtime.contract.connectors import CredentialSettings
from graph_runtime.contract.errors import (
    CredentialRejected,
    InputInvalid,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unreachable,
)
from graph_runtime.contract.forms import setting
from graph_runtime.contract.messages import Choices, Media, Reply, plain_text

HEADER: Final = "x-signature"


class Settings(CredentialSettings):
    """What one channel is set up with."""

    access_token: SecretStr = setting("Access token", default=SecretStr(""), help="The vendor's console shows it.")
    signing_secret: SecretStr = setting("Signing secret", default=SecretStr(""), help="The vendor signs with it.")
    base_url: str = setting("Address of the service", default="https://api.example.com", advanced=True, max_length=500)


def verify(settings: Settings, body: bytes, headers: Mapping[str, str], now: datetime) -> None:  # noqa: ARG001
    """Raises: SignatureRefused."""
    secret = settings.signing_secret.get_secret_value()
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = headers.get(HEADER, "").encode("utf-8", "replace")
    if not secret or not hmac.compare_digest(given, expected.encode()):
        raise SignatureRefused("The signature does not fit.", header=HEADER)


def parse(_: Settings, body: bytes, headers: Mapping[str, str]) -> list[InboundMessage]:  # noqa: ARG001
    """One event of the vendor; what is no message starts nothing. Raises: InputInvalid."""
    try:
        event: Any = json.loads(body)
        key, who, text = str(event["id"]), str(event["from"]), str(event.get("text") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputInvalid("This is not an event of the vendor.") from None
    if event.get("type") == "press":
        return [InboundMessage(key, who, Reply(text=text, option_id=str(event.get("option"))), "button")]
    return [InboundMessage(key, who, Reply(text=text), "text" if event.get("type") == "message" else "status")]


async def send(settings: Settings, message: OutboundMessage, http: ChannelHttp) -> str:
    """One request; the vendor's id of the message. It never repeats: the host does."""
    (part,) = message.parts
    said: dict[str, Any] = {"to": message.recipient, "text": plain_text(part), "key": message.key}
    if isinstance(part, Choices):
        said["buttons"] = [{"id": option.id, "title": option.label} for option in part.options]
    if isinstance(part, Media):
        said["media"] = part.url
    answer = await http.request(
        "POST",
        f"{settings.base_url}/messages",
        headers={
            "Authorization": f"Bearer {settings.access_token.get_secret_value()}",
            "Content-Type": "application/json",
        },
        body=json.dumps(said, ensure_ascii=False),
    )
    _judge(answer, message.at)
    try:
        return str(json.loads(answer.body)["id"])[:200]
    except (ValueError, KeyError, TypeError):
        raise OutcomeUnknown("The vendor's answer cannot be read.") from None


def _judge(answer: HttpAnswer, at: datetime) -> None:
    status = answer.status
    if 200 <= status < 300:
        return
    if status == 429:
        raise RateLimited("The vendor asks for a pause.", retry_after=retry_after(answer, at), status=status)
    if status >= 500:
        raise Unreachable(f"The vendor failed (status {status}).", status=status)
    if status in (401, 403):
        raise CredentialRejected("The vendor refused the access token. Enter a new one.", status=status)
    raise Refused(f"The vendor refused the message (status {status}).", status=status)


OFFER = ChannelOffer(
    # Longest text, most buttons, longest label of one; marks, files, typing; the send class.
    capabilities=Capabilities(2000, 3, 20, False, True, False, "blind"),
    send=send,
    verify=verify,
    parse=parse,
    required_headers=(HEADER,),
    one_part_per_request=True,
    signs_buttons=True,
    channel_rate=Rate(messages=20, seconds=1.0, burst=20),
)
'''

WEBHOOKS = {
    "settings": {"access_token": "for tests only", "signing_secret": "for tests only"},
    "headers": {},
    "good_answer": {"id": "v1"},
    "webhooks": [
        {
            "name": "text",
            "headers": {"x-signature": "3f4367e1e944ffcb84c3a2ea84724d948b0452f7d92a04158ca30bb5cdd73642"},
            "body": {"id": "e1", "type": "message", "from": "u1", "text": "Hello"},
            "expected": [{"kind": "text", "dedupe_key": "e1", "external_user_id": "u1", "text": "Hello"}],
        },
        {
            "name": "a pressed button",
            "headers": {"x-signature": "e979b741f067bfe00b033fed457b1adca10322749b4f6a9b88b32af7f767de52"},
            "body": {"id": "e2", "type": "press", "from": "u1", "option": "1.x", "text": "Monday"},
            "expected": [{"kind": "button", "external_user_id": "u1", "option_id": "1.x", "text": "Monday"}],
        },
        {
            "name": "a delivery report starts nothing",
            "headers": {"x-signature": "1cc2d7373bdf3f7edee58a4258830f0c0f6ff336faab79367f39a55328bad2d5"},
            "body": {"id": "e3", "type": "delivered", "from": "u1"},
            "expected": [{"kind": "status", "external_user_id": "u1"}],
        },
    ],
}

TEXTS = {
    "Answers what people write there.": {
        "ru": "Отвечает на то, что там пишут.",
        "uk": "Відповідає на те, що там пишуть.",
    },
    "Access token": {"ru": "Токен доступа", "uk": "Токен доступу"},
    "The vendor's console shows it.": {"ru": "Он есть в кабинете сервиса.", "uk": "Він є в кабінеті сервісу."},
    "Signing secret": {"ru": "Секрет подписи", "uk": "Секретний ключ підпису"},
    "The vendor signs with it.": {"ru": "Им сервис подписывает запросы.", "uk": "Ним сервіс підписує запити."},
    "Address of the service": {"ru": "Адрес сервиса", "uk": "Адреса сервісу"},
}

HELP = {
    "": """# @LABEL@

The agent answers what people write there.

## Connect
1. Open the vendor's console, https://example.com.
2. Create an application and copy its access token and signing secret.
3. In Patchcord open the agent, **Channels**, and enter both.
4. Give the vendor the address that is shown then.

## When something is wrong
Say what people meet most, and the way out.
""",
    ".ru": """# @LABEL@

Агент отвечает на то, что там пишут.

## Как подключить
1. Откройте кабинет сервиса, https://example.com.
2. Создайте приложение и скопируйте токен доступа и секрет подписи.
3. В Patchcord откройте агента, **Каналы**, и введите их.
4. Укажите сервису адрес, который появится.

## Если что-то не так
Напишите, что случается чаще всего и как это исправить.
""",
    ".uk": """# @LABEL@

Агент відповідає на те, що там пишуть.

## Як підключити
1. Відкрийте кабінет сервісу, https://example.com.
2. Створіть застосунок і скопіюйте токен доступу та секретний ключ підпису.
3. У Patchcord відкрийте агента, **Канали**, і введіть їх.
4. Вкажіть сервісу адресу, яка з'явиться.

## Якщо щось не так
Напишіть, що трапляється найчастіше і як це виправити.
""",
}

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" '
    'stroke-linecap="round" stroke-linejoin="round"><path d="M4 5h16v11H9l-5 4z"/><path d="M8 10h8"/></svg>\n'
)
