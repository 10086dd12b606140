"""Quality of middles: scores per row, and their means with confidence intervals."""
