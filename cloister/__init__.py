"""The ground floor: what the control plane, the dispatcher and the executor share.

Imports none of those three rooms.
"""

__version__ = "0.1.0"
