"""What one isolate asks for, answered with its worker's rights: fetch(), bindings, streams."""

from executor.serving.neighbours import Neighbours
from executor.serving.server import Server

__all__ = ["Neighbours", "Server"]
