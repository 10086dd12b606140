"""Record timings, shard reports and the job's summary."""
