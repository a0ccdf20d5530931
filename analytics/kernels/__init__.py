"""Five checks of a series of values as kernels over flat columns: range, rate, spike, flat line, gap.

Each looks at all samples with a few cheap passes and does its exact work only where these leave a
doubt. `columns` runs all five over columns of any length, in blocks that fit the cache.
"""
