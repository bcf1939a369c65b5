"""What the connectors of speech share: helper processes, waiting with a limit, sentences for errors."""
