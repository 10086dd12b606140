"""What a job's ledger tells to who only looks: its status, and an audit in depth. Read-only."""
