"""Tests of graph_runtime/telemetry."""
