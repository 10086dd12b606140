"""Several models through the same records: what `benchmarks.compare_families` is made of."""
