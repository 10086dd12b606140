"""Run an untrusted program with little time, little memory, and access to nothing."""
