"""A phone call becomes turns, and turns become speech; see docs/voice.md."""
