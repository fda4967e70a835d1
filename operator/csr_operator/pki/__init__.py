"""Keys, requests, certificates and chains: no Kubernetes, no network."""
