"""Ray clusters: the connection, its token, and the resources that workers request."""
