"""Errors as Genesys Cloud shows them (Genesys Cloud platform API, SDK 269 models: ErrorBody)."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """Refused with `status`; `code` and `message` go into the body."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        params: dict[str, str] | None = None,
        field: str | None = None,
        limit: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.params = params or {}
        self.field = field
        self.limit = limit
        self.headers = headers or {}

    def body(self, context_id: str) -> dict[str, Any]:
        details = [{"errorCode": self.code, "fieldName": self.field}] if self.field else []
        body: dict[str, Any] = {
            "message": self.message,
            "code": self.code,
            "status": self.status,
            "messageParams": self.params,
            "contextId": context_id,
            "details": details,
            "errors": [],
        }
        if self.limit is not None:
            body["limit"] = self.limit
        return body


def bad_request(message: str, *, field: str | None = None, code: str = "bad.request") -> ApiError:
    return ApiError(400, code, message, field=field)


def not_found(what: str, entity_id: str) -> ApiError:
    return ApiError(404, "not.found", f"{what} not found", params={"entityId": entity_id})
