"""How a call of the Kubernetes API ends that gave no answer to go on with."""


class KubeError(Exception):
    """The API server refused; `reason` is that of its Status (https://kubernetes.io/docs/reference/using-api/)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message or reason or f"HTTP status {status}")
        self.status, self.reason = status, reason


class Unreachable(Exception):
    """No answer of the API server: it is down, or the connection broke."""


class NoConfiguration(Exception):
    """Neither a kubeconfig nor the pod says where the API server is and who we are."""
