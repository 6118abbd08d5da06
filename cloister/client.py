"""A small client of the control API, for the CLI and the greeting."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import httpx

from cloister.errors import CloisterError

READ_S = 60.0
"""Longest wait for an answer: a deploy compiles the code before it answers."""


class ApiError(CloisterError):
    """The control API refused.

    Attributes:
        status: HTTP status; 0 when there was no answer.
        code: the API's own code of the first error; 0 when it said none.
    """

    def __init__(self, message: str, *, status: int = 0, code: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Module:
    """One file of a worker as it is uploaded."""

    name: str
    content_type: str
    data: bytes


class Client:
    """Calls of one account. A context manager; paths are relative to the account."""

    def __init__(self, url: str, account_id: str, api_token: str) -> None:
        base = url.rstrip("/").removesuffix("/client/v4")
        self._http = httpx.Client(
            base_url=f"{base}/client/v4/accounts/{quote(account_id)}",
            headers={"Authorization": f"Bearer {api_token}"},
            timeout=httpx.Timeout(READ_S, connect=5.0),
            # The control API is addressed directly: a proxy of the environment is for the outside.
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, **options: Any) -> Any:
        """The ``result`` of the answer's envelope.

        Raises:
            ApiError: no answer, or an answer that is not success.
        """
        return self.envelope(method, path, **options).get("result")

    def envelope(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The answer's whole envelope. Raises as :meth:`call` does."""
        with self._translated():
            answer = self._http.request(method, path, **options)
        return _envelope(answer)

    def pages(self, path: str, **parameters: Any) -> Iterator[Any]:
        """Every item of a list that comes by cursor."""
        cursor = ""
        while True:
            found = self.envelope("GET", path, params={**parameters, "cursor": cursor})
            yield from found.get("result") or []
            cursor = (found.get("result_info") or {}).get("cursor") or ""
            if not cursor:
                return

    def deploy(
        self,
        namespace: str,
        name: str,
        metadata: Mapping[str, Any],
        modules: list[Module],
        *,
        live: bool = True,
    ) -> dict[str, Any]:
        """Upload a worker; returns the API's description of it. If not ``live``, upload a version
        of one that is there, and describe that."""
        parts = [("metadata", (None, json.dumps(metadata), "application/json"))]
        files = [(m.name, (m.name, m.data, m.content_type)) for m in modules]
        path = script_path(namespace, name)
        method, path = ("PUT", path) if live else ("POST", f"{path}/versions")
        result = self.call(method, path, files=[*parts, *files])
        assert isinstance(result, dict)  # noqa: S101 - the API's contract
        return result

    def events(self, path: str) -> Iterator[str]:
        """The data of each server-sent event, until the server ends the stream.

        Raises:
            ApiError: no answer, or an answer that is not success.
        """
        accept = {"Accept": "text/event-stream"}
        with (
            self._translated(),
            self._http.stream("GET", path, headers=accept, timeout=None) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                answer.read()
                _envelope(answer)
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield line.removeprefix("data:").strip()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as exc:
            host = self._http.base_url.netloc.decode()
            raise ApiError(f"Nothing answers at {host}. Is `cloister up` running?") from exc
        except httpx.HTTPError as exc:
            raise ApiError(f"The control API did not answer: {exc}.") from exc


def script_path(namespace: str, script: str = "") -> str:
    """Path of a script, or of a namespace's scripts."""
    path = f"/workers/dispatch/namespaces/{quote(namespace, safe='')}/scripts"
    return f"{path}/{quote(script, safe='')}" if script else path


def _envelope(answer: httpx.Response) -> dict[str, Any]:
    try:
        envelope = answer.json()
    except ValueError:
        envelope = None
    if not isinstance(envelope, dict):
        raise ApiError(
            f"The control API answered {answer.status_code} without an envelope.",
            status=answer.status_code,
        )
    if not answer.is_success or not envelope.get("success", False):
        errors = envelope.get("errors") or [{"message": f"HTTP status {answer.status_code}"}]
        text = "\n".join(str(error.get("message")) for error in errors)
        raise ApiError(text, status=answer.status_code, code=int(errors[0].get("code") or 0))
    return envelope
