"""The parts of `benchmarks.compare_families`, which compares models on the same records."""
