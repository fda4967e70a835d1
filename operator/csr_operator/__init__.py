"""csr-operator: the whole life of a certificate signing request, as a Kubernetes operator."""
