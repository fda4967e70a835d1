"""What OpenSSL says of a chain, by a handshake in memory in which a client is shown it."""

import os
import ssl
from contextlib import suppress

from csr_operator.pki.chain import Chain, to_pem
from csr_operator.pki.keys import private_key_pem

from .parties import CA, KEY

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME: whoever repeats a fault does so on another day."""

_OTHER_PURPOSE = 26
"""X509_V_ERR_INVALID_PURPOSE: it is for something else than TLS servers, which a CA may decide."""


def refusal_of(chain: Chain) -> str:
    """Why a TLS client that trusts CA does not take the chain of KEY; empty if it does."""
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname = False
    client.verify_flags |= _NO_CHECK_TIME
    client.load_verify_locations(cadata=to_pem([CA.certificate]).decode())
    file = os.memfd_create("chain")
    try:
        os.write(file, chain.pem + private_key_pem(KEY))
        server.load_cert_chain(f"/proc/self/fd/{file}")
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = (
            client.wrap_bio(to_client, to_server),
            server.wrap_bio(to_server, to_client, server_side=True),
        )
        for end in ends + ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    except ssl.SSLCertVerificationError as error:
        return "" if error.verify_code == _OTHER_PURPOSE else error.verify_message
    except ssl.SSLError as error:
        return str(error)
    finally:
        os.close(file)
    return ""
