"""Databases: SQLite, each in a process of its own behind the kernel's wall.

SQL is a tenant's, and what reads it is a large C program: it runs in no process of the platform.
``cell/`` is what runs inside; the rest is the executor's side.
"""
