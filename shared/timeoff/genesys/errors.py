"""From an HTTP answer of Genesys Cloud to the error tree of `timeoff.errors`.

Source of the rules: the ErrorBody model and the response codes of the Genesys Cloud platform API.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from timeoff.errors import (
    GenesysAuthFailed,
    GenesysConflict,
    GenesysError,
    GenesysForbidden,
    GenesysNotFound,
    GenesysRejected,
    GenesysUnavailable,
)

#: Waited after a 429 that names no time; ten seconds and more are usual.
DEFAULT_RETRY_AFTER: Final = 10.0
#: No answer makes us wait longer than this; the call is then tried and may be refused again.
MAX_RETRY_AFTER: Final = 300.0

_CLASSES: Final[Mapping[int, type[GenesysError]]] = {
    401: GenesysAuthFailed,
    403: GenesysForbidden,
    404: GenesysNotFound,
    408: GenesysUnavailable,
    409: GenesysConflict,
    429: GenesysUnavailable,
}


class _ErrorBody(BaseModel):
    model_config = ConfigDict(extra="ignore")

    code: str | None = None
    message: str | None = None
    contextId: str | None = None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `Retry-After`, else from `inin-ratelimit-reset`; None if neither is a number."""
    for name in ("Retry-After", "inin-ratelimit-reset"):
        try:
            seconds = float(headers[name])
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return min(seconds, MAX_RETRY_AFTER)
    return None


def from_answer(call: str, status: int, headers: Mapping[str, str], body: bytes) -> GenesysError:
    """The error for a status that is not 2xx. `call` is method and path, without query."""
    try:
        said = _ErrorBody.model_validate_json(body)
    except ValidationError:
        said = _ErrorBody()
    wait = retry_after(headers) if status in (429, 503) else None
    if status == 429 and wait is None:
        wait = DEFAULT_RETRY_AFTER
    class_ = _CLASSES.get(status, GenesysUnavailable if status >= 500 else GenesysRejected)
    text = f"{call}: {status} {(said.code or '')[:80]}".rstrip()
    if status in (400, 403) and said.message:
        # Names the missing permission or the wrong field. Nothing we send holds notes or secrets.
        text += f": {said.message[:300]}"
    return class_(
        text,
        status=status,
        code=said.code,
        correlation_id=headers.get("ININ-Correlation-Id") or said.contextId,
        retry_after=wait,
    )
