"""What this connector says to people."""

from __future__ import annotations

NO_MODEL = (
    "The Whisper model is not on this machine. Enter the path of a folder with a model for faster-whisper, or allow the "
    "download of the named model."
)
NO_LIBRARY = "faster-whisper cannot be loaded on this machine. Install Patchcord's locked packages anew."
WORKS = "The Whisper model is loaded and ready."
