"""Notes in a table: POST adds one, GET shows the last ten."""

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        db = self.env.DB
        if request.method == "POST":
            text = await request.text()
            await db.prepare("INSERT INTO notes (text) VALUES (?)").bind(text).run()
        query = db.prepare("SELECT id, text FROM notes ORDER BY id DESC LIMIT ?")
        found = await query.bind(10).all()
        return Response.json(found.results)
