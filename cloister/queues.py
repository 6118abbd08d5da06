"""Queues, as processes tell each other of them. What is in them is in the registry alone, so that
every note may be lost: who delivers looks by itself, too, only later.
"""

QUEUES_CHANNEL = "queues"
"""The pub/sub channel on which whoever has stored messages says so. The note is empty."""
