"""Random kills during a running job, and a check of its output afterwards."""
