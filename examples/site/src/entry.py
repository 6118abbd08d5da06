"""The part of the site that is not files."""

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    """Answers below ``/api/``, and what neither file nor rule has."""

    async def fetch(self, request):
        if "/api/pages" in request.url:
            page = await self.env.ASSETS.fetch("https://assets.local/docs/")
            return Response.json({"docs": len(await page.text())})
        return await self.env.ASSETS.fetch(request)
