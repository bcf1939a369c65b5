"""The door through which a member talks to an agent from the editor's page."""
