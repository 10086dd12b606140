"""Cut files into shards, and order the records within a shard. Pure."""
