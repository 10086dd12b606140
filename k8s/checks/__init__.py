"""What can be said of the manifests without a cluster: `python -m k8s.checks`."""
