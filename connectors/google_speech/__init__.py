"""Google Cloud: Speech-to-Text v2 and Text-to-Speech."""
