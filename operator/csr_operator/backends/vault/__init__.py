"""`vault`: the PKI secrets engine of HashiCorp Vault and of OpenBao, by its HTTP API.

Written from the API documentation of both (https://developer.hashicorp.com/vault/api-docs/secret/pki and
https://openbao.org/api-docs/secret/pki/), and run against OpenBao 2.7.2.

A repeat is harmless: the certificate that nobody got stays in the engine's store until it is tidied, and nothing counts
it.
"""

from .backend import VaultBackend as VaultBackend
