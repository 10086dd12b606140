"""Every number in the README, re-runnable, each against its limit."""
