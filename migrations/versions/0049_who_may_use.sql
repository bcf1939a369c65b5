-- The agents that a credential serves; NULL: all of the workspace.
ALTER TABLE credential ADD COLUMN only_agents uuid[];
