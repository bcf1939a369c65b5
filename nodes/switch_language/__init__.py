"""Language: the conversation goes on in another language."""
