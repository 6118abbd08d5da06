"""Durable Objects: one instance of each at a time, and storage that is its own.

An object is run by the executor that has it under its lease; others send their calls there. Its
storage is SQLite in a process of its own (``cell/``), which takes nothing from whoever lost it.
"""
