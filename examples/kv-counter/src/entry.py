from urllib.parse import urlsplit

from counts import increment
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = urlsplit(request.url).path
        count = await increment(self.env.COUNTS, path)
        print("counted", path, count)
        return Response.json({"path": path, "count": count})
