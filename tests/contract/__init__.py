"""Tests of the contract: pure data, no service needed."""
