"""Benchmarks: one module each, over one harness. ``tools/benchmark.py`` is their command line."""
