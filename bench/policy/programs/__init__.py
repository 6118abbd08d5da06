"""Ordinary programs: ``run(SIZE)`` does a fixed piece of work and returns what came of it."""
