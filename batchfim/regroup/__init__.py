"""Bring records that share text together, before shards are cut: once, as a copy of the input."""
