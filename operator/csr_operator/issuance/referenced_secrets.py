"""What a request names in other Secrets of its namespace: its key, and the passwords of its keystores.

It is used, and neither copied nor shown: no message holds a part of it.
"""

from collections.abc import Mapping

from cryptography import x509

from csr_operator.api.keys import SecretKey, SecretKeyRef
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.kube.objects import secret_data
from csr_operator.kube.secrets import Secrets
from csr_operator.pki.chain import load_bundle, spki_of
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import extension_of
from csr_operator.pki.keys import PrivateKey, load_private_key, public_key_der
from csr_operator.pki.keystores import password_problem
from csr_operator.pki.signatures import folded
from csr_operator.plugin.offload import offload

from .backend_calls import GuardedBackend
from .failures import Failed

_KEY = "spec.privateKey.secretRef"


class References:
    """All methods raise Failed, and KubeError and Unreachable where trying again is all there is to do."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    async def key(self, request: CertificateRequest, ca: GuardedBackend | None) -> PrivateKey:
        """The key that `privateKey.secretRef` names. ca: who is to sign, if it is to be used."""
        ref = request.spec.private_key.secret_ref
        assert ref is not None
        data, secret = await self._data(request, ref, _KEY), f"Secret {request.namespace}/{ref.name}"
        try:
            key = load_private_key(data[ref.key])
        except PkiError as error:
            raise Failed(Reason.KEY_UNUSABLE, f"{_KEY}: {ref.key} in {secret}: {error}") from None
        weight = sum(map(len, data.values()))
        if ca is not None and ca.traits.needs_private_key and await offload(weight, _is_of_a_ca, key, data):
            # It would sign for any names, past whatever the issuer of that CA demands.
            text = f"{_KEY}: {secret} is that of a CA: name a key that is not beside a CA certificate"
            raise Failed(Reason.KEY_UNUSABLE, text, by_issuer=True)
        return key

    async def passwords(self, request: CertificateRequest) -> dict[SecretKeyRef, str]:
        """Those that the keystores are to have."""
        passwords: dict[SecretKeyRef, str] = {}
        for store, kind in ((request.spec.outputs.pkcs12, "pkcs12"), (request.spec.outputs.jks, "jks")):
            if store is None or (ref := store.password) in passwords:
                continue
            where = f"spec.keystores.{kind}.passwordSecretRef"
            data = await self._data(request, ref, where)
            password = data[ref.key].decode(errors="replace")
            if problem := password_problem(password):
                text = f"{where}: {ref.key} in Secret {request.namespace}/{ref.name}: {problem}"
                raise Failed(Reason.PASSWORD_UNUSABLE, text)
            passwords[ref] = password
        return passwords

    async def _data(self, request: CertificateRequest, ref: SecretKeyRef, field: str) -> dict[str, bytes]:
        """All of the Secret, in which there is something under the key."""
        secret, name = (
            await self._secrets.get(SecretKey(request.namespace, ref.name)),
            f"{request.namespace}/{ref.name}",
        )
        if secret is None:
            text = f"{field}: Secret {name} does not exist: create it; it is looked for again within a minute"
            # It may come yet, as with what is applied together with the request.
            raise Failed(Reason.REFERENCE_MISSING, text, needs_user=False)
        data = secret_data(secret)
        if not data.get(ref.key):
            lacks = f": {ref.key} is empty: write it" if ref.key in data else f" has no {ref.key}: add it"
            raise Failed(Reason.REFERENCE_MISSING, f"{field}: Secret {name}{lacks}", needs_user=True)
        return data


def _is_of_a_ca(key: PrivateKey, data: Mapping[str, bytes]) -> bool:
    """A CA certificate for the key is in the same Secret."""
    spki = public_key_der(key.public_key())
    for value in data.values():
        try:
            certificates = load_bundle(value)
            for certificate in certificates:
                if spki_of(certificate) == spki and _is_ca(certificate):
                    return True
        except PkiError:
            continue  # no certificate
    return False


def _is_ca(certificate: x509.Certificate) -> bool:
    """By its basicConstraints; or as roots were before those (X.509 version 1), which are trusted all the same."""
    constraints = extension_of(certificate, x509.BasicConstraints)
    if constraints is not None:
        return constraints.ca
    # Its signature does not count: a root is trusted for what it is, and many of those are signed with MD5 or older.
    return certificate.version is x509.Version.v1 and folded(certificate.subject) == folded(certificate.issuer)
