"""Benchmarks that reproduce every number in RESULTS.md and compare each with its limit."""
