"""Models: finding and fetching their files, their families, and what prompts they need."""
