"""What a run shows to those who watch it: metrics for Prometheus, events for the log."""
