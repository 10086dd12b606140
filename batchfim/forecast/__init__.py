"""`batchfim plan`: predict what a job will take, from a sample and an earlier run's speed."""
