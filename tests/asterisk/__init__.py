"""Tests of the telephone system's configuration."""
