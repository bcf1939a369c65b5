"""Speech without keys or network: espeak-ng speaks, pocketsphinx understands the answers to a question."""
