"""Tests of the pages' states."""
