"""Step types that only the fault harness installs."""
