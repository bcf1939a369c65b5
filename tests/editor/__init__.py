"""Tests of the flow editor in a real browser, against a small server that speaks the editor's protocol."""
