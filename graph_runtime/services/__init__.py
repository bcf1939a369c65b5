"""What people and programs can do here: one class per topic, the principal first, the only authorisation."""
