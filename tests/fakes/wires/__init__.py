"""The wire formats of the model vendors: what they are asked, and how they put an answer."""

from tests.fakes.wires import anthropic, gemini, openai_chat, openai_responses

__all__ = ["anthropic", "gemini", "openai_chat", "openai_responses"]
