"""What a run exposes to monitoring: metrics for Prometheus and events for the log."""
