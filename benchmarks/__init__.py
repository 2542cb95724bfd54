"""How fast the framework is, beside others: ``make bench``, ``make profile``.

The method and its bias are described in docs/benchmarks/README.md.
"""
