"""Benchmarks on the real broker and a durable PostgreSQL: `make bench`, explained in docs/performance.md."""
