"""What the tests of challenges present, and how they ask for it as a CA does."""

import secrets
import urllib.error
import urllib.request

from csr_operator.challenge_routes import Challenge
from csr_operator.model import Issuer, Kind
from tests.support.operator import OperatorProcess

PATH = "/.well-known/acme-challenge/"
ISSUER = Issuer(Kind.CLUSTER_ISSUER, "", "letsencrypt", "uid", "1", 1, "acme", {})


def challenge(host: str = "www.example.com") -> Challenge:
    token = secrets.token_urlsafe(32)
    return Challenge(host, token, f"{token}.thumbprint")


def ask(operator: OperatorProcess, host: str, path: str, method: str = "GET") -> tuple[int, str]:
    """Status and body of what the operator answers a CA."""
    url = f"http://127.0.0.1:{operator.acme_port}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}, method=method)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
