"""How good the middles are: scores of each row, and their means with confidence intervals."""
