"""CPU time of a server and its children, from /proc; nothing where there is no /proc."""

from __future__ import annotations

import os
from pathlib import Path


def of_server(pid: int) -> float | None:
    """Seconds of CPU that a process and its children, ended ones included, have used."""
    if not Path("/proc/self/stat").exists():
        return None
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(folder.name) == pid:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == pid:
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")
