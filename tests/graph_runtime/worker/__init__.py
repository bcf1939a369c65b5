"""Tests of graph_runtime/worker."""
