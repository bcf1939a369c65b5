"""What is said to people when Telegram does not do what was asked; with translations in texts.json."""

from __future__ import annotations

from typing import Final

NO_FILE_NAMED: Final = "Telegram named a file that cannot be fetched."
NO_FILE: Final = "Telegram does not give this file."
NO_FILE_NOW: Final = "Telegram does not give the file (status {status})."
NOT_A_BOT: Final = "This is not a token of a bot. It looks like 123456789:AAF… ; copy it from @BotFather."
UNREADABLE: Final = "Telegram's answer cannot be read (status {status})."
NO_BOT_API: Final = "This is not a Bot API (status {status}). Check the address."
PAUSE: Final = "Telegram asks for a pause."
UNKNOWN_BOT: Final = "Telegram does not know this token. It may have been revoked; take the new one from @BotFather."
SUPERGROUP: Final = "The group has become a supergroup."
BLOCKED: Final = "The contact has blocked the bot, left, or never wrote to it."
WEBHOOK_ELSEWHERE: Final = "Another program has set a webhook for this bot."
POLLED_ELSEWHERE: Final = "Another program asks for this bot's messages."
FAILED: Final = "Telegram failed (status {status})."
MARKS: Final = "Telegram cannot read the marks in this text."
REFUSED: Final = "Telegram refused the message (status {status})."
NOT_SIGNED: Final = "The secret token is not the one of this bot."
WHOSE_BOT: Final = "Telegram did not say whose token this is. Try again."
NO_UPDATES: Final = "Telegram did not answer with updates."
NO_CHAT: Final = "This is not a chat of Telegram."
FILE_GONE: Final = "The file of this message does not exist any more."
NO_UPDATE: Final = "This is not an update of Telegram."
