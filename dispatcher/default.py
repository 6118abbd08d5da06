"""The dispatch worker of an operator who has none: routing, and the limits that are stored."""

from dispatcher.environment import Environment
from dispatcher.messages import Request, Response
from dispatcher.worker import DispatchWorker


class DefaultDispatchWorker(DispatchWorker):
    """Passes each request to the worker that routing found."""

    async def fetch(self, request: Request, env: Environment) -> Response:
        """Dispatch; failures become error pages."""
        return await env.DISPATCHER.get(request.worker).fetch(request)
