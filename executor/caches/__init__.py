"""The Cache API: responses that workers keep, on this machine, for its executors together.

As in the product, a cache is of one place: another machine has its own. It may be deleted at any
time, and its bounds are kept by deleting the oldest.
"""
