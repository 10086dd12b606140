"""Every number in RESULTS.md, re-runnable, each against its limit."""
