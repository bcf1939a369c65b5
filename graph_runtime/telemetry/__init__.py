"""What a process tells about itself: figures, logs, and the removal of secrets from both."""
