"""The dispatch worker of an operator who has none: routing, and the limits that are stored.

A custom hostname that leads to no worker may name one in its metadata: ``worker``.
"""

from dispatcher.environment import Environment
from dispatcher.messages import Request, Response
from dispatcher.worker import DispatchWorker


class DefaultDispatchWorker(DispatchWorker):
    """Passes each request to the worker that routing found."""

    async def fetch(self, request: Request, env: Environment) -> Response:
        """Dispatch; failures become error pages."""
        worker = request.worker or request.cf.get("hostMetadata", {}).get("worker", "")
        return await env.DISPATCHER.get(worker).fetch(request)
