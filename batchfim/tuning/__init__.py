"""`batchfim tune`: find the fastest settings for a job, by short runs on a sample."""
