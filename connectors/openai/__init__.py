"""OpenAI and every service that speaks its language."""
