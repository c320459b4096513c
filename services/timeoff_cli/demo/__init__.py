"""The demo: a working day against the sandbox, with faults, and a count of what went wrong (nothing)."""
