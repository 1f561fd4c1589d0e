"""Benchmarks: the papers' protocols, any method of the registry, published rows beside the measured ones.

Run ``python -m training.benchmark --help``.
"""
