"""Benchmark: standard test sets, metrics with named conventions, other methods in the same run, a report."""
