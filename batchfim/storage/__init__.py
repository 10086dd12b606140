"""Files: input, parts, ledger, the lease of the job. The only room that touches a file system."""
