"""Sentences of what goes wrong with speech; nothing a vendor or a library wrote is repeated to a person."""

from __future__ import annotations

KEY = "The key was not accepted. Check that it was copied whole, is still valid and may use the speech service."
BUSY = "The speech service asks for a pause, or its quota is used up. Wait a little, or raise the quota at the vendor."
DOWN = "The speech service is not working properly at the moment. Try again in a few minutes."
SLOW = "The speech service did not answer in time. Try again."
CUT = "The speech broke off before it was complete. Try again."
UNREADABLE = "The answer of the speech service could not be read. Check that the address belongs to it."
REFUSED = "The speech service refused the request. Check the name of the model or voice, the language and the settings."
BEHIND = "The recognition is too far behind the caller and was given up. Try again, or use a faster model."
NO_LANGUAGE = "This language is not spoken here. Choose another connection for speech, or another language."
CRASHED = "The speech program ended unexpectedly. It is started again with the next words."
TOO_LONG = "The text is too long to be spoken at once. Split it into sentences."
