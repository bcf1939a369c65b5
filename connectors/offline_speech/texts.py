"""What this connector says to people."""

from __future__ import annotations

NOT_INSTALLED = (
    "Speech without keys is not installed. Start Patchcord once without PATCHCORD_OFFLINE_VOICE=no, or choose another "
    "connection for speech."
)
NO_VOICE = "espeak-ng has no such voice. Choose one of the list."
NO_OPTIONS = (
    "The offline recogniser needs the possible answers as English words, and none were given that it knows. Offer "
    "options, let people press digits, or choose another connection for speech."
)
READY = "Speech without keys is ready."
