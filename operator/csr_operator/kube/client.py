"""The Kubernetes API as the operator uses it."""

from dataclasses import dataclass

from .custom_objects import CustomObjects
from .namespaces import Namespaces
from .routes import Routes
from .secrets import Secrets
from .transport import Transport


@dataclass(frozen=True, slots=True)
class Kube:
    """All calls over one connection pool. Whoever needs only some of them is given only these."""

    transport: Transport
    secrets: Secrets
    custom_objects: CustomObjects
    namespaces: Namespaces
    routes: Routes

    @classmethod
    def over(cls, transport: Transport) -> "Kube":
        """All calls by `transport`, which whoever connected it closes."""
        return cls(transport, Secrets(transport), CustomObjects(transport), Namespaces(transport), Routes(transport))
