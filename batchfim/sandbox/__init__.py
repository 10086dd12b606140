"""Run a program that nobody has read: with little time, little memory, and nothing to reach."""
