"""A script, not a module to import: tie this process to its parent, give up root, become the program.

    python -I -S become.py PARENT_PID DEATH_SIGNAL ACCOUNT PROGRAM [ARGUMENT...]

ACCOUNT is `uid:gid`, or `-` to stay who we are. Uses the standard library only.

Why a script and not `preexec_fn`: code between fork and exec can deadlock in a process with threads, and
an interpreter below a folder that the other account cannot enter must be started before root is given up.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    parent, death_signal, account, program = arguments[0], int(arguments[1]), arguments[2], arguments[3]
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None
    if account != "-":
        uid, gid = (int(part) for part in account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After the change of account: the kernel forgets the death signal when credentials change.
    if prctl is not None and prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        print(f"prctl failed: {os.strerror(ctypes.get_errno())}", file=sys.stderr)  # noqa: T201
        return 126
    if os.getppid() != int(parent):
        return 0  # the parent died before the signal was set, so nothing would ever stop us
    # Ignored and blocked signals survive exec, and this interpreter ignores SIGPIPE.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execv(program, arguments[3:])  # noqa: S606
    except OSError as error:
        print(f"cannot run {program}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
