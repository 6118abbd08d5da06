"""A dispatch worker with plans: what a customer pays decides what the customer's code may use."""

from dispatcher import (
    CpuLimitExceeded,
    DispatchWorker,
    Environment,
    MemoryLimitExceeded,
    Request,
    Response,
    WorkerNotFound,
)

PLANS = {
    "free": {"cpu_ms": 10, "subrequests": 5},
    "pro": {"cpu_ms": 20, "subrequests": 20},
    "enterprise": {"cpu_ms": 50, "subrequests": 50},
}


class Plans(DispatchWorker):
    """Reads the plan of each worker from the KV namespace ``plans``: key is the worker's name."""

    kv_namespaces = {"PLANS": "plans"}

    async def fetch(self, request: Request, env: Environment) -> Response:
        """Dispatch with the plan's limits; an unknown plan is the free one."""
        plan = await env.PLANS.get(request.worker) or "free"
        limits = PLANS.get(plan, PLANS["free"])
        try:
            response = await env.DISPATCHER.get(request.worker, limits=limits).fetch(request)
        except WorkerNotFound:
            return Response("There is no such site.\n", status=404)
        except (CpuLimitExceeded, MemoryLimitExceeded):
            return Response(f"This site needs more than the {plan} plan.\n", status=429)
        response.headers["x-plan"] = plan
        return response
