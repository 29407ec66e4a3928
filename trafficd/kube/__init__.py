"""What is asked of a Kubernetes API server. Its client library, ``trafficd[kubernetes]``, is imported here alone."""
