"""Client of the answerer process; every failure is a sentence."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx

from rag_assets.errors import RagError
from rag_assets.settings import Settings

STATE_FILE = "answerer.json"  # in the state folder: where the answerer is
DOOR_PATH = "/doorz"  # answered by the door itself
# How long the answerer may take for each of its routes, in seconds.
ANSWER_S, SEARCH_S, RELOAD_S, STATUS_S, HEALTH_S = 300.0, 60.0, 120.0, 5.0, 2.0


class AnswererError(RagError):
    """The answerer refused or failed; the message is its own.

    Attributes:
        status: HTTP status; 0 when nobody answered.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
        self.exit_code = 2 if 400 <= status < 500 else 1


class AnswererDownError(AnswererError):
    """Nobody answers at the address."""


class AnswererClient:
    """Talks to one answerer.

    Args:
        url: e.g. ``http://127.0.0.1:8460``.
        key: gives the key for a request; needed where the home has an ``access.yaml``.
    """

    def __init__(self, url: str, key: Callable[[], str] = str) -> None:
        self.url = url.rstrip("/")
        self._key = key

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The client of a home's own commands, which may do everything."""
        return cls(settings.answerer_url, lambda: _own_key(settings.state))

    def ask(
        self,
        question: str,
        mode: str = "auto",
        filters: Mapping[str, Any] | None = None,
        *,
        batch: bool = False,
    ) -> dict[str, Any]:
        """The answer's record, as ``rag ask --json`` prints it.

        Args:
            question: in plain words.
            mode: "auto", "fact" or "deep".
            filters: which documents are read, as ``Filters.given`` names them.
            batch: whether what is asked by hand goes ahead.

        Raises:
            AnswererDownError: nobody answers.
            AnswererError: it cannot answer this question now, or ever; ``status`` says which.
        """
        body = {"question": question, "mode": mode, "filters": filters or {}, "batch": batch}
        return self._call("POST", "/v1/answers", ANSWER_S, body)

    def search(
        self, question: str, limit: int = 10, filters: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Passages for a question, as ``rag search --json`` prints them; no model writes.

        Raises:
            AnswererError: as of ``ask``.
        """
        body = {"question": question, "limit": limit, "filters": filters or {}}
        return self._call("POST", "/v1/search", SEARCH_S, body)

    def document(self, wanted: str) -> dict[str, Any]:
        """A document by its id or by that of a chunk.

        Raises:
            AnswererError: as of ``ask``; status 404 where there is none.
        """
        return self._call("GET", f"/v1/documents/{quote(wanted, safe='')}", SEARCH_S)

    def sources(self) -> dict[str, Any]:
        """The sources with their numbers of documents, and the generation in service."""
        return self._call("GET", "/v1/sources", SEARCH_S)

    def reload(self) -> dict[str, Any]:
        """Bring the live generation into service: {generation_id, previous_id, swapped, ms}.

        Raises:
            AnswererError: the generation was refused; the one before stays in service.
        """
        return self._call("POST", "/admin/reload", RELOAD_S)

    def status(self) -> dict[str, Any]:
        """What the answerer serves and does now."""
        return self._call("GET", "/admin/status", STATUS_S)

    def readiness(self) -> str:
        """Why it cannot answer, as a sentence; "" when it can."""
        try:
            self._call("GET", "/readyz", STATUS_S)
        except AnswererError as error:
            return str(error)
        return ""

    def concurrency(self) -> int:
        """How many questions it answers at the same time.

        Raises:
            AnswererError: it cannot answer now.
        """
        return int(self._call("GET", "/readyz", STATUS_S)["concurrency"])

    def is_up(self) -> bool:
        """Whether an answerer answers at the address, ready or not."""
        try:
            return self._call("GET", "/healthz", HEALTH_S).get("status") == "ok"
        except AnswererError:
            return False

    def is_kept(self) -> bool:
        """Whether the door is there, which holds the address while `rag up` runs."""
        try:
            return self._call("GET", DOOR_PATH, HEALTH_S).get("status") == "ok"
        except AnswererError:
            return False

    def _call(
        self, method: str, path: str, timeout_s: float, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        key = self._key()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            # trust_env=False: a proxy of the environment must not get loopback requests.
            with httpx.Client(timeout=timeout_s, trust_env=False) as http:
                url = f"{self.url}{path}"
                response = http.request(method, url, json=body, headers=headers)
        except httpx.TimeoutException as error:
            raise AnswererError(
                f"the answerer at {self.url} gave no answer to {path} within {timeout_s:g} s; "
                "`rag doctor` shows whether its engines run",
                0,
            ) from error
        except httpx.TransportError as error:
            raise AnswererDownError(
                f"the answerer does not run at {self.url}; start it with `rag up`", 0
            ) from error
        return _read(response, self.url)


def _own_key(state: Path) -> str:
    """The key that the running answerer wrote down for them; "" where there is none."""
    try:
        return str(json.loads((state / STATE_FILE).read_bytes())["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _read(response: httpx.Response, url: str) -> dict[str, Any]:
    try:
        record = response.json()
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise AnswererError(
            f"what runs at {url} is not an answerer (it answered {response.status_code} without "
            "JSON); stop it, or set RAG_ANSWERER_PORT to a free port",
            response.status_code,
        )
    if response.is_success:
        return record
    error = record.get("error")
    told = error.get("message") if isinstance(error, dict) else ""
    sentence = told or f"the answerer answered {response.status_code}"
    raise AnswererError(str(sentence), response.status_code)
