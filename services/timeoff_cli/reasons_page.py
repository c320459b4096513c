"""docs/reference/reasons.md, written from the advice that `held` and `failed` show (`make docs`)."""

from __future__ import annotations

import sys
from typing import Final

from timeoff.reasons import ADVICE

_HEAD: Final = """\
# Why a request is held or failed

Written by `make docs` from the code; a test compares both. How to act on them:
[handle held and failed requests](../how-to/handle-held-and-failed.md).

| reason | what it means, and what to do |
| --- | --- |
"""


def page() -> str:
    return _HEAD + "".join(f"| `{reason}` | {advice} |\n" for reason, advice in sorted(ADVICE.items()))


if __name__ == "__main__":
    sys.stdout.write(page())
