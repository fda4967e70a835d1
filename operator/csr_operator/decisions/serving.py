"""Whether what is in the Secret serves: the certificate that the spec asks for, valid, and written as it should be."""

from datetime import datetime

from csr_operator.api.names import REVOKED_ANNOTATION
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import Record, SecretMeta
from csr_operator.api.times import parse_time


def is_current(request: CertificateRequest, record: Record | None, now: datetime) -> bool:
    """The certificate on record is the one that the spec asks for, and valid now."""
    if record is None or record.issuance_hash != request.issuance_hash:
        return False
    return parse_time(record.not_before) <= now < parse_time(record.not_after)


def is_served(request: CertificateRequest, secret: SecretMeta | None, now: datetime) -> bool:
    """The Secret holds the certificate that the spec asks for, and it is valid now; or can be restored to that."""
    return secret is not None and not secret.beyond_repair and is_current(request, secret.record, now)


def is_fulfilled(request: CertificateRequest, secret: SecretMeta | None, now: datetime) -> bool:
    """All that the spec asks for is in the Secret, and valid now: what else there is to do is about what comes next."""
    return (
        secret is not None
        and is_served(request, secret, now)
        and not is_to_be_restored(request, secret, secret.record)
        and secret.template_digest == request.spec.secret_template.digest()
    )


def is_to_be_restored(request: CertificateRequest, secret: SecretMeta, record: Record | None) -> bool:
    """The Secret is not what the operator wrote, or is to be written otherwise now; labels and annotations apart."""
    return (
        record is None
        or secret.intact_data != request.spec.stored_keys(record)
        or secret.owner_uid != _owner_uid(request)
        or record.outputs != request.spec.outputs.digest()
    )


def was_revoked(secret: SecretMeta) -> bool:
    """Its certificate was revoked when the request before went, and the Secret was retained."""
    record = secret.record
    authentic = REVOKED_ANNOTATION not in secret.forged
    return record is not None and authentic and secret.revoked == record.sha256_fingerprint


def _owner_uid(request: CertificateRequest) -> str:
    """Whom the Secret is to belong to: a retained one to nobody, so that it is not collected."""
    return "" if request.spec.retain else request.uid
