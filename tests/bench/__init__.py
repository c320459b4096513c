"""Benchmarks of the sync, on the real broker and a durable PostgreSQL, and of the balance service.

`make bench`; explained in docs/performance.md.
"""
