"""The demo: run the project's own tiny infilling model end to end."""
