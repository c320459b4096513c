"""Exit codes of the command line: 0 all right, 1 differences found, 2 usage, 3 unreachable."""

from timeoff.runtime.exits import DIFFERENCES, FAILED, OK, UNREACHABLE, USAGE, code_of

__all__ = ["DIFFERENCES", "FAILED", "OK", "UNREACHABLE", "USAGE", "code_of"]
