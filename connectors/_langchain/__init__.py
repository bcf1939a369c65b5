"""What the model connectors have in common: one adapter from LangChain's chat models to `ChatModel`."""
