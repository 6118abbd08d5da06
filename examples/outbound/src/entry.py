"""An outbound worker: every fetch() of the platform's customers comes here first.

It blocks one host, and gives the calls to another one a credential that customers never see.
``self.env.customer`` is a parameter of the dispatch call; ``self.env.API_TOKEN`` is a secret of
this worker.
"""

from urllib.parse import urlsplit

from workers import Response, WorkerEntrypoint, fetch

BLOCKED = {"tracker.example"}
OUR_API = "api.platform.example"


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        host = urlsplit(request.url).hostname
        if host in BLOCKED:
            return Response(f"{host} is blocked by this platform", status=403)
        headers = {**dict(request.headers.items()), "x-customer": self.env.customer}
        if host == OUR_API:
            headers["authorization"] = f"Bearer {self.env.API_TOKEN}"
        print(f"{self.env.customer}: {request.method} {host}")
        body = await request.bytes()
        return await fetch(request.url, method=request.method, headers=headers, body=body or None)
