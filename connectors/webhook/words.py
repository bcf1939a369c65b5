"""What is said to people about the other side of a webhook; with translations in texts.json."""

from __future__ import annotations

from typing import Final

NO_WORDS: Final = "A message needs a text or an option_id."
NO_EVENT: Final = "The event does not fit at “{place}”: {why}."
PAUSE: Final = "The receiver asks for a pause."
FAILED: Final = "The receiver answered with status {status}. Check its own log."
NOT_SIGNED: Final = "The receiver refused the signature (status {status}). Give it the secret of this channel."
REFUSED: Final = "The receiver refused the message (status {status}). Check the address."
