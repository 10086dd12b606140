"""Kills placed at random over a running job, and the accounts afterwards."""
