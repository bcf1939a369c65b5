"""Tests of every step and of the tools around them."""
