"""How a call of the Kubernetes API ends that gave no answer to go on with."""

from http import HTTPStatus


class KubeError(Exception):
    """The API server refused; `reason` is that of its Status (https://kubernetes.io/docs/reference/using-api/)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message or reason or f"HTTP status {status}")
        self.status, self.reason = status, reason

    @property
    def may_pass(self) -> bool:
        """It says nothing of what was asked for: the API server, or what stands before it, has too much to do or is not
        well."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def is_not_found(self) -> bool:
        """The API server says that there is no such object. A 404 of whatever stands before it, or of an API that it
        does not serve, says nothing of an object."""
        return self.status == HTTPStatus.NOT_FOUND and self.reason == "NotFound"


class Unreachable(Exception):
    """No answer of the API server: it is down, or the connection broke."""


class NoConfiguration(Exception):
    """Neither a kubeconfig nor the pod says where the API server is and who we are."""
