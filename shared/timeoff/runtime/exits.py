"""Exit codes of every command and service, and the one place where an error becomes one."""

from __future__ import annotations

from typing import Final

from timeoff.errors import GenesysAuthFailed, PartCrashed, SettingsError, TopicMissing, Unreachable

OK: Final = 0
DIFFERENCES: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3

#: Anything that went wrong and is none of the others; shares its number with `DIFFERENCES`.
FAILED: Final = 1
#: What shells use for a process that Ctrl-C ended before it could stop by itself.
INTERRUPTED: Final = 130


def code_of(error: BaseException) -> int:
    """The exit code for an error; a crashed part counts as what crashed it."""
    match error:
        case PartCrashed(cause=BaseException() as cause):
            return code_of(cause)
        case SettingsError():
            return USAGE
        case Unreachable() | TopicMissing() | GenesysAuthFailed():
            return UNREACHABLE
        case KeyboardInterrupt():
            return INTERRUPTED
        case _:
            return FAILED


__all__ = ["DIFFERENCES", "FAILED", "INTERRUPTED", "OK", "UNREACHABLE", "USAGE", "code_of"]
