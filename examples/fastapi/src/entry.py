from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from notes import router
from workers import asgi

PAGE = Path(__file__).parent / "pages" / "home.html"

app = FastAPI(title="Notes")
app.include_router(router)


@app.get("/", response_class=HTMLResponse)
def home() -> str:
    return PAGE.read_text()


Default = asgi.entrypoint(app)
