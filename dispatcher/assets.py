"""Static assets of the worker that is called: answered here, without a queue or an isolate."""

import logging

from cloister.assets.site import asked_of
from cloister.assets.sites import Sites
from cloister.errors import NotReady
from cloister.registry import Route
from dispatcher.failures import PlatformFailure
from dispatcher.messages import Request, Response

log = logging.getLogger(__name__)


async def answer(sites: Sites, route: Route, request: Request) -> Response | None:
    """The response, if the worker's assets have one for this request; None: run the worker.

    Raises:
        PlatformFailure: what is stored cannot be read.
    """
    if route.assets is None:
        return None
    asked = asked_of(request.method, request.url, dict(request.headers.pairs))
    try:
        site = await sites.site(route.assets)
        if route.has_code:
            found = site.route(asked, prefers_assets=route.prefers_assets)
        else:
            found = site.answer(asked)
        if found is None:
            return None
        return Response(await sites.body(found), status=found.status, headers=found.headers)
    except NotReady as exc:
        log.exception("assets of %s/%s cannot be read", route.namespace, route.script)
        raise PlatformFailure from exc
