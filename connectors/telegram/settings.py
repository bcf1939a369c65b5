"""What one bot is set up with."""

from __future__ import annotations

import re
from typing import Final, Literal

from pydantic import SecretStr, field_validator

from graph_runtime.contract.connectors import CredentialSettings
from graph_runtime.contract.forms import setting

BASE_URL = "https://api.telegram.org"
MOST_COMMANDS: Final = 50
_COMMAND: Final = re.compile(r"/?([a-z][a-z0-9_]{0,31})\s*[-–—:]?\s+(\S.{0,255})")


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
    buttons: Literal["inline", "keyboard"] = setting(
        "Answers to choose from are shown", default="inline",
        options={"inline": "Below the message", "keyboard": "In place of the keyboard"},
        help="In groups always below the message: a keyboard there would appear for everybody.",
    )  # fmt: skip
    commands: str = setting(
        "Commands in the menu", default="", widget="textarea", max_length=4000,
        placeholder="start Begin anew\nprices What it costs",
        help="One on each line: the command, then what it is for. Empty: what BotFather was told stays.",
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

    @field_validator("commands")
    @classmethod
    def _readable(cls, text: str) -> str:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if len(lines) > MOST_COMMANDS:
            raise ValueError(f"at most {MOST_COMMANDS} commands")
        for line in lines:
            if not _COMMAND.fullmatch(line):
                raise ValueError(
                    f"“{line[:40]}” is no command and what it is for: small Latin letters, digits and _, then words, "
                    "such as: prices What it costs"
                )
        return "\n".join(lines)

    def menu(self) -> list[dict[str, str]]:
        """The commands as Telegram takes them."""
        found = (_COMMAND.fullmatch(line) for line in self.commands.splitlines())
        return [{"command": m[1], "description": m[2].strip()} for m in found if m]

    @property
    def bot_id(self) -> str:
        """The bot's number, which its token begins with."""
        return self.bot_token.get_secret_value().partition(":")[0]

    def secrets(self) -> list[str]:
        """The newest first."""
        return [s for field in (self.secret, self.previous_secret) if (s := field.get_secret_value())]
