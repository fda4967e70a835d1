"""Who does what when there are several replicas: they agree by Leases of the Kubernetes API, and by nothing else."""
