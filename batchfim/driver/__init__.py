"""One loop: plan, lease, collect, commit, report progress."""
