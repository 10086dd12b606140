"""Input files, parts, the ledger and the job's lease; only this package accesses file systems."""
