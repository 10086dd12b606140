"""The demonstration: the project's own tiny infilling model, run for real end to end."""
