"""Shards from files, and the order of records within a shard. Pure."""
