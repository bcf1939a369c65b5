"""What one bot is set up with."""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr

from graph_runtime.contract.connectors import CredentialSettings
from graph_runtime.contract.forms import setting

BASE_URL = "https://api.telegram.org"


class Settings(CredentialSettings):
    """The bot's token, and how it behaves in groups."""

    bot_token: SecretStr = setting(
        "Bot token", default=SecretStr(""), placeholder="123456789:AA…", help="@BotFather gives it to you."
    )
    groups: Literal["mentioned", "all", "never"] = setting(
        "In groups the bot answers", default="mentioned",
        options={
            "mentioned": "When it is mentioned or replied to", "all": "Every message it sees", "never": "Never",
        },
    )  # fmt: skip
    updates: Literal["auto", "polling"] = setting(
        "How messages come in", default="auto", advanced=True,
        options={"auto": "Chosen by itself", "polling": "Patchcord asks Telegram"},
        help="With a public https address Telegram posts to it; without one Patchcord asks Telegram.",
    )  # fmt: skip
    base_url: str = setting(
        "Address of the Bot API", default=BASE_URL, advanced=True, max_length=500,
        help="Another one only for a Bot API server of your own.",
    )  # fmt: skip
    allow_private_host: bool = setting(
        "The address is inside our own network", default=False, advanced=True,
        help="Only an administrator can switch this on.",
    )  # fmt: skip
    username: str = setting("Name of the bot", default="", advanced=True, help="Telegram tells it.", max_length=64)
    secret: SecretStr = setting("Secret", default=SecretStr(""), advanced=True, help="Patchcord makes it by itself.")
    previous_secret: SecretStr = setting(
        "Previous secret", default=SecretStr(""), advanced=True, help="Still valid for a day after a change."
    )

    @property
    def bot_id(self) -> str:
        """The bot's number, which its token begins with."""
        return self.bot_token.get_secret_value().partition(":")[0]

    def secrets(self) -> list[str]:
        """The newest first."""
        return [s for field in (self.secret, self.previous_secret) if (s := field.get_secret_value())]
