"""Thin entry points for Ray jobs and Kubernetes: each takes the job file that `batchfim run` does.

Nothing is imported for `--help` but the config and the command line's library.
"""
