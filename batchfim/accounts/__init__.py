"""Read-only views of a job's ledger: its status, and an audit that reads every part."""
