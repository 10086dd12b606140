"""The driver: one loop that leases shards, collects reports, commits and shows progress."""
