"""Copy the input once, before shards are cut, with records that share text next to each other."""
