"""The ACME account of an issuer (RFC 8555, section 7.3): its key is in a Secret, and all else follows from that."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from csr_acme import AcmeClient, AcmeError, ExternalAccount, Refused, Unreachable
from csr_acme.jose import AccountKey, b64url_decode
from csr_operator.api.reading import describe_unreadable, read_flag
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import load_private_key
from csr_operator.plugin import credentials
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import BackendError, Misconfigured, Rejected, SecretNotFound
from csr_operator.plugin.schedule import grow
from csr_operator.plugin.text import redact
from csr_operator.version import user_agent

from .refusals import to_backend_error, to_directory_error, translate_errors

PRESETS: Mapping[str, str] = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
_LOOK_AGAIN = timedelta(hours=1)
"""How often the CA itself is asked whether the account is well; the Secret is read at each check."""

_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
"""How long a CA that refuses the account is not asked again, while nothing changes; twice as long each time."""

_FORGOTTEN, _UNWANTED = "accountDoesNotExist", "unauthorized"

_NEXT, _ROTATION = "next.key", "rotation"
"""Data of the Secret: the key that a rollover is under way to, and the `privateKeyRotation` of the one in use."""

Data = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What a CA that was asked with these Secrets said, and until when it is not asked again."""

    message: str
    secrets: tuple[Data | None, ...]
    times: int
    until: datetime


@dataclass(frozen=True, slots=True)
class _Binding:
    """`externalAccountBinding`: the CA's name for its customer, and Secret and key with what proves that."""

    key_id: str
    secret: str
    key: str


_BINDING = "spec.acme.externalAccountBinding"


def _binding_of(raw: Any) -> _Binding | None:
    """Raises Misconfigured."""
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        raise Misconfigured(describe_unreadable(_BINDING))
    secret, key = _secret_key_of(raw, "keySecretRef", _BINDING, "secret")
    return _Binding(_text_of(raw, "keyID", _BINDING, "write the key identifier that the CA gave you"), secret, key)


def _secret_key_of(config: Mapping[str, Any], name: str, where: str, default: str) -> tuple[str, str]:
    """Name of a Secret, and key in it (`default` if that is not said). Raises Misconfigured."""
    reference, field = config.get(name) or {}, f"{where}.{name}"
    if not isinstance(reference, Mapping):
        raise Misconfigured(describe_unreadable(field))
    key = _text_of(reference, "key", field, "") if reference.get("key") else default
    return _text_of(reference, "name", field, "name the Secret"), key


def _text_of(config: Mapping[str, Any], name: str, where: str, remedy: str) -> str:
    """Raises Misconfigured, with `remedy` if it is missing."""
    if not (value := config.get(name)):
        raise Misconfigured(f"{where}.{name}: it is missing: {remedy}")
    if not isinstance(value, str):
        raise Misconfigured(describe_unreadable(f"{where}.{name}"))
    return value


class Account:
    """config: `spec.acme`. All methods raise BackendError."""

    def __init__(self, config: Mapping[str, Any], context: Context, trusted: ssl.SSLContext) -> None:
        self._config, self._context, self._trusted = config, context, trusted
        self._secret, self._key_name = _secret_key_of(config, "privateKeySecretRef", "spec.acme", "tls.key")
        server = _text_of(config, "server", "spec.acme", "write the URL of the CA's ACME directory")
        self._directory: str = PRESETS.get(server, server)
        self._binding = _binding_of(config.get("externalAccountBinding"))
        self._agrees = read_flag(config, "termsOfServiceAgreed", "spec.acme")
        self._deactivates = read_flag(config, "deactivateAccount", "spec.acme")
        self._makes_no_key = read_flag(config, "disableAccountKeyGeneration", "spec.acme")
        self._anywhere = read_flag(config, "insecureAllowAnyURL", "spec.acme")
        self._lock = asyncio.Lock()
        self._used: Data = {}
        self._client: AcmeClient | None = None
        self._asked_at: datetime | None = None
        self._refusal: _Refusal | None = None
        self._hmac_key = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message shows, should the CA say it."""
        return (self._hmac_key,)

    @property
    def host(self) -> str:
        return urlsplit(self._directory).hostname or self._directory

    async def client(self) -> AcmeClient:
        """With the account; made at the first use."""
        async with self._lock:
            return self._client or await self._open()

    def heard(self, error: AcmeError) -> bool:
        """Of any refusal by the CA: if it does not know the account, or does not want it, the CA is asked about that
        at the next use. Returns whether that makes another account of the same key."""
        kind = error.problem.type if isinstance(error, Refused) else ""
        if kind in (_FORGOTTEN, _UNWANTED):
            self._client = None
        return kind == _FORGOTTEN and not self._only_existing

    async def check(self) -> AcmeClient:
        """Look whether the key is still the same, and now and then whether the CA still knows it."""
        async with self._lock:
            now = self._context.clock()
            fresh = self._asked_at is not None and self._asked_at <= now < self._asked_at + _LOOK_AGAIN
            if self._client is not None and fresh and await self._context.read_secret(self._secret) == self._used:
                return self._client
            self._client = None
            return await self._open()

    async def _open(self) -> AcmeClient:
        """Raises the last refusal once more while there is no reason to hope for another answer."""
        now, before = self._context.clock(), self._refusal
        if before is not None and now < before.until <= now + _LONGEST_PAUSE and before.secrets == await self._read():
            raise Misconfigured(before.message)
        try:
            client = await self._opened(now)
        except _Unwanted as refused:
            times = before.times + 1 if before is not None else 0
            pause = grow(_FIRST_PAUSE, _LONGEST_PAUSE, times)
            self._refusal = _Refusal(str(refused), await self._read(), times, now + pause)
            raise Misconfigured(str(refused)) from None
        self._refusal = None
        return client

    async def _read(self) -> tuple[Data | None, ...]:
        """All that the answer to newAccount depends on, besides the spec."""
        names = [self._secret, *([self._binding.secret] if self._binding is not None else [])]
        return tuple([await self._context.read_secret(name) for name in names])

    async def _opened(self, now: datetime) -> AcmeClient:
        data = await self._stored()
        with translate_errors(now, self.secrets):
            data = await self._finish_rollover(data)
        client = self._new(self._key(data, self._key_name))
        try:
            with translate_errors(now):
                directory = await client.directory()
        except BackendError as error:
            if isinstance(error.__cause__, Unreachable):
                raise to_directory_error(error.__cause__, now) from error.__cause__
            raise
        if directory.terms_of_service and not self._agrees:
            raise Misconfigured(
                f"{self.host} has terms of service: read {redact(directory.terms_of_service, ())} and, if you agree, "
                "set spec.acme.termsOfServiceAgreed to true"
            )
        external = await self._external(required=directory.external_account_required)
        await self._registered(client, external, now)
        if self._deactivates:
            with translate_errors(now, self.secrets):
                await client.deactivate_account()
            raise _Unwanted(_DEACTIVATED)
        data = await self._rotate(client, data)
        self._used, self._client, self._asked_at = data, client, now
        return client

    async def _stored(self) -> Data:
        data = await self._context.read_secret(self._secret)
        if data is not None and data.get(self._key_name):
            return data
        if self._makes_no_key:
            raise (SecretNotFound if data is None else Misconfigured)(
                f"{self._context.secret(self._secret)}, named in spec.acme.privateKeySecretRef, has no "
                f"{self._key_name}: put the account's key there, or remove disableAccountKeyGeneration to have one made"
            )
        fresh = {self._key_name: _pem(), _ROTATION: self._rotation}
        try:
            return await self._write(lambda before: before if before.get(self._key_name) else {**before, **fresh})
        except Misconfigured:
            # Another issuer that shares the account may have made the Secret just now.
            data = await self._context.read_secret(self._secret)
            if data is not None and data.get(self._key_name):
                return data
            raise

    async def _write(self, change: Any) -> Data:
        await self._context.write_secret(self._secret, change)
        return await self._context.read_secret(self._secret) or {}

    def _key(self, data: Data, name: str) -> AccountKey:
        try:
            key = load_private_key(data.get(name, b""))
        except PkiError as error:
            raise Misconfigured(f"{self._context.secret(self._secret)}: {name}: {error}") from None
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise Misconfigured(
                f"{self._context.secret(self._secret)}: {name} is not a key for ACME: use RSA, ECDSA or Ed25519"
            )
        return key

    def _new(self, key: AccountKey) -> AcmeClient:
        return AcmeClient(
            self._context.session(),
            self._directory,
            key,
            trusted=self._trusted,
            anywhere=self._anywhere,
            user_agent=f"{user_agent()} (csr_acme)",
        )

    @property
    def _only_existing(self) -> bool:
        return self._makes_no_key or self._deactivates

    async def _registered(self, client: AcmeClient, external: ExternalAccount | None, now: datetime) -> None:
        """As `_register`. Raises _Unwanted for what the CA would say again."""
        try:
            await self._register(client, external)
        except AcmeError as error:
            gone = isinstance(error, Refused) and error.problem.type in (_FORGOTTEN, _UNWANTED)
            if gone and self._deactivates:
                raise _Unwanted(_DEACTIVATED) from None
            failure = to_backend_error(error, now, self.secrets)
            if not isinstance(error, Refused) or not isinstance(failure, Misconfigured | Rejected):
                raise failure from error
            binding = self._binding
            if external is not None and binding is not None and error.problem.type in _OF_THE_BINDING:
                hint = (
                    f": check that spec.acme.externalAccountBinding has the keyID of the CA, and Secret "
                    f"{binding.secret}, named in its keySecretRef, the HMAC key that belongs to it"
                )
                failure = Misconfigured(redact(str(error), self.secrets) + hint)
            raise _Unwanted(str(failure)) from error

    async def _register(self, client: AcmeClient, external: ExternalAccount | None) -> None:
        """Find the account of the key, or make it."""
        email = self._config.get("email")
        contact = [f"mailto:{email}"] if email else []
        only_existing = self._only_existing
        account = await client.new_account(
            contact, terms_agreed=True, external=None if only_existing else external, only_existing=only_existing
        )
        if account.status != "valid":
            raise _Unwanted(
                f"the account {account.url} is {account.status}: name another Secret in spec.acme.privateKeySecretRef"
            )
        # Some CAs tell no contact, and are told it once more then.
        if email and contact != list(account.contact) and not self._deactivates:
            await client.update_account(contact)

    async def _external(self, *, required: bool) -> ExternalAccount | None:
        binding = self._binding
        if binding is None:
            if required:
                raise Misconfigured(
                    f"{self.host} only accepts accounts of its customers: set spec.acme.externalAccountBinding to the "
                    "key identifier and HMAC key that it gave you"
                )
            return None
        name, key, field = binding.secret, binding.key, f"{_BINDING}.keySecretRef"
        data = await credentials.read(self._context, name, field, {key: "the HMAC key"})
        self._hmac_key = data[key].decode(errors="replace").strip()
        try:
            b64url_decode(self._hmac_key)
        except ValueError:
            raise Misconfigured(
                f"{self._context.secret(name)}, named in {field}: {key} is not in base64url: put the HMAC key "
                "there as the CA gave it, without quotes, blanks or anything else"
            ) from None
        return ExternalAccount(binding.key_id, self._hmac_key)

    # Key rollover: the new key is stored before the CA is told, and becomes the one in use when the CA has it.

    @property
    def _rotation(self) -> bytes:
        return (self._config.get("privateKeyRotation") or "").encode()

    async def _rotate(self, client: AcmeClient, data: Data) -> Data:
        if not self._rotation or data.get(_ROTATION) == self._rotation:
            return data
        fresh = _pem()
        data = await self._write(lambda before: before if before.get(_NEXT) else {**before, _NEXT: fresh})
        with translate_errors(self._context.clock(), self.secrets):
            try:
                await client.change_key(self._key(data, _NEXT))
            except (Refused, Unreachable) as error:
                if error.status not in (404, 405, 501):
                    raise
                raise Misconfigured(
                    f"{self.host} does not change the key of an account ({redact(str(error), self.secrets)}): remove "
                    "spec.acme.privateKeyRotation, and for a new account name another Secret in privateKeySecretRef"
                ) from None
        return await self._write(self._take_next)

    async def _finish_rollover(self, data: Data) -> Data:
        """One that a crash has interrupted: the CA may know the new key only."""
        if not data.get(_NEXT):
            return data
        try:
            await self._new(self._key(data, _NEXT)).new_account(only_existing=True)
        except Refused as error:
            if error.problem.type != "accountDoesNotExist":
                raise
            return data
        return await self._write(self._take_next)

    def _take_next(self, before: Data) -> Data:
        if not before.get(_NEXT):
            return before
        rest = {name: value for name, value in before.items() if name != _NEXT}
        return {**rest, self._key_name: before[_NEXT], _ROTATION: self._rotation}


class _Unwanted(Exception):
    """The CA does not want the account, for a reason that does not go by itself. The text is for the user."""


_DEACTIVATED = "the account was deactivated, as spec.acme.deactivateAccount says"

_OF_THE_BINDING = frozenset({"unauthorized", "malformed", "externalAccountRequired", "badSignatureAlgorithm"})
"""How CAs refuse an external account whose HMAC key, or key identifier, is another one."""


def _pem() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
