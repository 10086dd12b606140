"""Where shards are worked: one Protocol, two homes."""
