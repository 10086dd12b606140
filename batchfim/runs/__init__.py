"""Runs of a job: claiming the output, processing what is pending, closing the accounts."""
