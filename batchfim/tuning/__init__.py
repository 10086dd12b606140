"""`batchfim tune`: which settings finish a job's records soonest, by short jobs on a sample."""
