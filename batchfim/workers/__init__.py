"""Workers process shards: one Protocol, with a pool of Ray actors and a pool of threads."""
