"""The custom resources, and what the operator keeps in Secrets, as frozen values."""
