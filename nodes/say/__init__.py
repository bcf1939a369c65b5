"""Say: speak on a call; writes on other channels."""
