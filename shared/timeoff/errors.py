"""The one error tree of the product.

Every error says whether trying again can help (`retryable`) and, where known, after how long
(`retry_after`, seconds). The core plans from the class alone and never from a vendor's name or text.

    TimeoffError
    ├── SettingsError              a setting is wrong; the message names the key (exit code 2)
    ├── Unreachable                a dependency cannot be reached (exit code 3)
    ├── PartCrashed                a supervised part of a process failed or ended by itself
    ├── LogError                   the event log
    │   ├── OffsetOutOfRange       a position below the retained start or above the end
    │   ├── Fenced                 another member owns the partition now
    │   ├── TopicMissing           a topic is absent and may not be created
    │   ├── MessageTooLarge        one message is larger than the log takes; nothing was appended
    │   └── UnknownMajorVersion    a record of a newer major version: stop, never dead-letter
    ├── MalformedRecord            one record cannot be read; it costs that record only
    ├── LeaseLost                  the lane (or another lease) is held by somebody else
    ├── GenesysError               Genesys Cloud answered with an error
    │   ├── GenesysUnavailable     429, 5xx, connection trouble: later
    │   ├── GenesysAuthFailed      credentials refused: stop and alert
    │   ├── GenesysForbidden       a permission or division is missing
    │   ├── GenesysNotFound        the thing is not there (any more), or not to be seen
    │   ├── GenesysConflict        the optimistic lock (`metadata.version`) did not match
    │   └── GenesysRejected        the call itself is wrong: never try again as it is
    └── HrisError                  the HRIS answered with an error, or did not answer
        ├── RetryLater             throttled or down, nothing was written
        ├── OutcomeUnknown         the call was sent and its effect is not known: look, never repeat
        ├── AuthFailed             credentials refused: stop the target and alert
        ├── Forbidden              authenticated, but not allowed (permission, or locked out)
        ├── NotFound               employee, type or request does not exist
        ├── Rejected               a rule of the HRIS refused the write
        │   └── AlreadyBegun       refused because the entry's first day has come
        ├── Conflict               overlap with another record, or a stale version
        ├── InsufficientBalance    refused for lack of balance
        └── Unsupported            the adapter declares that it cannot do this

Messages never hold notes of a request, tokens or secrets.
"""

from __future__ import annotations

from typing import ClassVar, Literal


class TimeoffError(Exception):
    """Root of every error this product raises on purpose."""

    retryable: ClassVar[bool] = False
    retry_after: float | None = None

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message or type(self).__name__)
        self.retry_after = retry_after

    @property
    def error_class(self) -> str:
        """The class as a metric label and a reason: `RetryLater` -> `retry_later`."""
        name = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


class SettingsError(TimeoffError):
    """One or more settings are wrong. `problems` are lines of the form `key: what to do`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Unreachable(TimeoffError):
    """A dependency cannot be reached; the message names it and what to check."""

    retryable = True


class PartCrashed(TimeoffError):
    """Part `name` of the process raised `cause`, or returned before it was asked to (`cause` is None)."""

    def __init__(self, name: str, cause: BaseException | None) -> None:
        super().__init__(f"part {name} crashed: {type(cause).__name__}" if cause else f"part {name} ended")
        self.name = name
        self.cause = cause


class LogError(TimeoffError):
    """The event log failed."""


class OffsetOutOfRange(LogError):
    """Position `wanted` of a partition is outside `[low, high]`; `high` is the next offset to be written."""

    def __init__(self, topic: str, partition: int, wanted: int, low: int, high: int) -> None:
        super().__init__(
            f"offset {wanted} of {topic}/{partition} is outside of what the log holds ({low} to {high})"
        )
        self.topic = topic
        self.partition = partition
        self.wanted = wanted
        self.low = low
        self.high = high


class Fenced(LogError):
    """This member no longer owns the partition; what it read will be read again by its new owner."""


class TopicMissing(LogError):
    """One or more topics are absent and creating them is not allowed; the message names them."""


class MessageTooLarge(LogError):
    """The message at `index` of the batch is larger than the log takes; nothing of the batch was appended."""

    def __init__(self, index: int, size: int, limit: int) -> None:
        super().__init__(f"message {index} of the batch has {size} bytes, the log takes up to {limit}")
        self.index = index


class UnknownMajorVersion(LogError):
    """A record was written by a newer major version of this product. Upgrade this process."""


class MalformedRecord(TimeoffError):
    """A record or frame cannot be read. The reason names fields and types, never values."""


class LeaseLost(TimeoffError):
    """A lease ended, or its epoch moved on: stop acting in its name."""


class GenesysError(TimeoffError):
    """Genesys Cloud answered with an error. `correlation_id` is what Genesys support asks for."""

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        correlation_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.status = status
        self.code = code
        self.correlation_id = correlation_id


class GenesysUnavailable(GenesysError):
    retryable = True


class GenesysAuthFailed(GenesysError):
    pass


class GenesysForbidden(GenesysError):
    pass


class GenesysNotFound(GenesysError):
    pass


class GenesysConflict(GenesysError):
    pass


class GenesysRejected(GenesysError):
    pass


class HrisError(TimeoffError):
    """The HRIS answered with an error, or did not answer."""


class RetryLater(HrisError):
    """Throttled or down, and certainly nothing was written. `throttled` slows the whole target down."""

    retryable = True

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, throttled: bool = False
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.throttled = throttled


class OutcomeUnknown(HrisError):
    """The write was sent and no readable answer came: its effect must be looked up, never repeated."""


class AuthFailed(HrisError):
    pass


class Forbidden(HrisError):
    pass


class NotFound(HrisError):
    """`what` tells which thing is missing."""

    def __init__(self, what: Literal["employee", "type", "request"], message: str = "") -> None:
        super().__init__(message or f"{what} not found")
        self.what = what


class Rejected(HrisError):
    """A rule of the HRIS refused the write; the message is the vendor's own, without notes."""


class AlreadyBegun(Rejected):
    """Refused because the entry's first day has come."""


class Conflict(HrisError):
    pass


class InsufficientBalance(HrisError):
    pass


class Unsupported(HrisError):
    """The adapter declares that it cannot do this; `capability` names what is missing."""

    def __init__(self, capability: str) -> None:
        super().__init__(f"not supported: {capability}")
        self.capability = capability
