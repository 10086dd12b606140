"""Token ids → token ids, behind one Protocol."""
