"""Answers to requests that fail: the status, and an error in words."""

import msgspec
from starlette.responses import Response

from elboroom.errors import ElboroomError
from elboroom.explorer.api.endpoints import Failed, Failure

_RETRY_AFTER = 1  # second
_FIX = "see /openapi.json for what can be asked"


def failed(status: int, what: str, why: str, fix: str = _FIX) -> Response:
    """Return the answer to a request that failed."""
    content = msgspec.json.encode(Failed(Failure(what, why, fix)))
    headers = {"Retry-After": str(_RETRY_AFTER)} if status == 429 else {}
    return Response(content, status, headers, "application/json")


def failed_by(error: ElboroomError, status: int) -> Response:
    """Return the answer to a request that an error of elboroom ended."""
    return failed(status, error.what, error.why, error.fix)
