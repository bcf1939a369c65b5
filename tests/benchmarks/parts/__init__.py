"""Processes and yardsticks that benchmarks are made of."""
