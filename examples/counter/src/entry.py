from urllib.parse import urlsplit

from workers import DurableObject, Response, WorkerEntrypoint


class Counter(DurableObject):
    """Counts the calls of one path. There is one instance, which does one thing at a time."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.ctx.storage.sql.exec(
            "CREATE TABLE IF NOT EXISTS calls (number INTEGER PRIMARY KEY, method TEXT)"
        )

    def count(self, method):
        sql = self.ctx.storage.sql
        return sql.exec("INSERT INTO calls (method) VALUES (?) RETURNING number", method).one()


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = urlsplit(request.url).path
        counted = await self.env.COUNTERS.getByName(path).count(request.method)
        return Response.json({"path": path, "count": counted["number"]})
