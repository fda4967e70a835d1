"""The few requests that starting a control plane takes."""

import http.client
import json
import ssl
from typing import Any

Resource = dict[str, Any]


class ApiClient:
    """Talks to the API server on a port of 127.0.0.1, over one connection that is opened again as needed."""

    def __init__(self, port: int, tls: ssl.SSLContext) -> None:
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, context=tls, timeout=30)

    def call(
        self, method: str, path: str, body: Resource | None = None, accept: str = "application/json"
    ) -> tuple[int, Resource]:
        """The status and the JSON object of the answer ({} for any other text); (0, {}) where none came."""
        headers = {"Accept": accept, "Content-Type": "application/json"}
        try:
            self._connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0, {}
        return response.status, json.loads(text) if text.startswith(b"{") else {}

    def get(self, path: str, accept: str = "application/json") -> Resource | None:
        """The object at a path; None unless the server answers 200."""
        status, answer = self.call("GET", path, accept=accept)
        return answer if status == 200 else None

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        self._connection.close()
