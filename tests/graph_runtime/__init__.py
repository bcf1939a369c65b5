"""Tests of the product without screens, vendors or phones."""
