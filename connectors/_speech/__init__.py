"""What the connectors of speech share: waiting with a limit, sentences for errors, manners of their helper processes."""
