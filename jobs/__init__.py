"""Thin entry points for Ray jobs and Kubernetes; each takes the same job file as `batchfim run`.

`--help` imports nothing but the config and the command-line library.
"""
