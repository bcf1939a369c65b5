"""What happened, kept for reports: observers of the engine and queries over what they stored."""
