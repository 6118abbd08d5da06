"""``env.DISPATCHER``: workers by name."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from cloister.limits import Limits
from cloister.messages import Invocation, Outbound
from cloister.registry import OutboundRule, Route
from dispatcher import assets
from dispatcher.exchange import Exchange
from dispatcher.failures import WorkerNotFound
from dispatcher.headers import Given, end_to_end
from dispatcher.messages import Content, Request, Response
from dispatcher.services import Services
from dispatcher.upload import Upload, take_body

_SPELLINGS = {"cpuMs": "cpu_ms", "subRequests": "subrequests"}

CF = {"colo": "SELF", "country": "XX", "httpProtocol": "HTTP/1.1"}
"""``request.cf`` in trusted namespaces: what is known without a network of our own."""

GivenLimits = Limits | Mapping[str, int] | None


class Dispatcher:
    """The binding. It belongs to one client request, whose end ends every exchange."""

    def __init__(
        self, services: Services, request: Request, opened: Callable[[Exchange], None]
    ) -> None:
        self._services = services
        self._request = request
        self._opened = opened
        self._count = 0

    def get(
        self,
        name: str,
        args: Mapping[str, Any] | None = None,
        *,
        limits: GivenLimits = None,
        outbound: Mapping[str, Any] | None = None,
        outbound_worker: str | None = None,
        namespace: str | None = None,
        entrypoint: str | None = None,
        version: str | None = None,
    ) -> "Stub":
        """A stub for the worker ``name``. Nothing is looked up until it is used.

        Args:
            name: script name in the namespace.
            args: free-form object for the worker script.
            limits: ``cpu_ms``, ``subrequests``, ``memory_mb``, ``wall_ms`` (``cpuMs`` and
                ``subRequests`` too). They replace the stored ones, up to the platform's ceiling.
            outbound: values of parameters that the namespace's outbound rule declares.
            outbound_worker: another outbound worker of the rule's (else this) namespace.
            namespace: dispatch namespace; by default the one that routing found.
            entrypoint: named entrypoint class instead of the default one.
            version: id of any version of the worker that is kept, live or not; by default the one
                that a preview link shows, if it is of this worker, else one that is live.

        Raises:
            ValueError: ``limits`` names what is no limit, or is not a whole number above 0.
        """
        request = self._request
        namespace = namespace or request.namespace
        if version is None and request.version:
            is_shown = (namespace, name) == (request.namespace, request.worker)
            version = request.version if is_shown else None
        return Stub(
            self,
            name=name,
            namespace=namespace,
            args=dict(args or {}),
            limits=_limits(limits),
            outbound=dict(outbound or {}),
            outbound_worker=outbound_worker,
            entrypoint=entrypoint,
            version=version,
        )

    def next_id(self) -> str:
        """The client request's id for its first invocation, then numbered ones."""
        self._count += 1
        return self._request.id if self._count == 1 else f"{self._request.id}-{self._count}"

    def exchange(self, invocation: Invocation) -> Exchange:
        """An exchange that ends with the client's request at the latest."""
        exchange = self._services.exchange(invocation)
        self._opened(exchange)
        return exchange

    @property
    def services(self) -> Services:
        """The process's services."""
        return self._services


class Stub:
    """One worker, about to be called."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        name: str,
        namespace: str,
        args: dict[str, Any],
        limits: Limits | None,
        outbound: dict[str, Any],
        outbound_worker: str | None,
        entrypoint: str | None,
        version: str | None,
    ) -> None:
        self._dispatcher = dispatcher
        self._name = name
        self._namespace = namespace
        self._args = args
        self._limits = limits
        self._outbound = outbound
        self._outbound_worker = outbound_worker
        self._entrypoint = entrypoint
        self._version = version

    async def fetch(
        self,
        request: Request | str,
        *,
        method: str | None = None,
        headers: Given = None,
        body: Content = None,
    ) -> Response:
        """Invoke the worker's ``fetch``, unless its assets have the answer. The response's body may
        still be on its way.

        Raises:
            WorkerNotFound: the namespace has no such worker.
            DispatchFailure: any other way in which it did not answer.
            ValueError: ``outbound`` has a parameter that is not declared.
        """
        if isinstance(request, str):
            request = Request(request)
        if method is not None or headers is not None or body is not None:
            request = request.replaced(method=method, headers=headers, body=body)
        services = self._dispatcher.services
        if self._version is None:
            route = await services.routes.route(self._namespace, self._name)
            if route is not None and route.split is not None:
                route = await services.routes.chosen(route, request.headers.pairs)
        else:
            route = await services.routes.route_of_version(self._version)
            if route is not None and (route.namespace, route.script) != (
                self._namespace,
                self._name,
            ):
                route = None
        if route is None:
            raise WorkerNotFound
        outbound = self._outbound_of(route)
        if self._entrypoint is None or not route.has_code:
            response = await assets.answer(services.sites, route, request)
            if response is not None:
                return response
        upload = await take_body(request)
        invocation = self._invocation(request, route, outbound, upload)
        return await self._dispatcher.exchange(invocation).begin(upload)

    def _invocation(
        self, request: Request, route: Route, outbound: Outbound | None, upload: Upload
    ) -> Invocation:
        services = self._dispatcher.services
        settings = services.settings
        limits = services.limits(route.namespace_limits, route.script_limits, self._limits)
        wait_ms = (limits.wall_ms or settings.max_wall_ms) + settings.queue_wait_ms
        return Invocation(
            id=self._dispatcher.next_id(),
            namespace=route.namespace,
            script=route.script,
            version=route.version,
            method=request.method,
            url=request.url,
            headers=end_to_end(request.headers.pairs),
            reply_to=services.mailbox.reply_to,
            deadline=time.time() + wait_ms / 1000,
            limits=limits,
            body=upload.inline if upload.rest is None else b"",
            body_is_streamed=upload.rest is not None,
            entrypoint=self._entrypoint,
            outbound=outbound,
            args=self._args,
            cf=CF if route.trusted else None,
        )

    def _outbound_of(self, route: Route) -> Outbound | None:
        rule = route.outbound
        if rule is None and self._outbound_worker is None:
            if self._outbound:
                raise ValueError(f"namespace {route.namespace} declares no outbound worker")
            return None
        _check_declared(rule, self._outbound)
        return Outbound(
            namespace=rule.namespace if rule else route.namespace,
            script=self._outbound_worker or (rule.script if rule else ""),
            parameters=self._outbound,
        )


def _check_declared(rule: OutboundRule | None, parameters: dict[str, Any]) -> None:
    """A rule declares its parameters; without one (``outbound_worker`` alone) any may be given."""
    unknown = set(parameters) - set(rule.parameters) if rule else set()
    if unknown:
        raise ValueError(f"outbound parameters not declared: {', '.join(sorted(unknown))}")


def _limits(given: GivenLimits) -> Limits | None:
    if given is None or isinstance(given, Limits):
        return given
    said = {_SPELLINGS.get(name, name): value for name, value in given.items()}
    for name, value in said.items():
        if name not in Limits.__struct_fields__:
            raise ValueError(f"{name} is not a limit")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"limit {name} must be a whole number above 0, not {value!r}")
    return Limits(**said)
