"""Headers on every answer: nothing of it is to be sniffed, framed, cached or run.

There are no CORS headers: browsers of other origins get no answer to read.
"""

from flask import Flask, Response, request

API_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
DASHBOARD_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def install(app: Flask, dashboard: str) -> None:
    """Set them; ``dashboard`` is the blueprint whose pages may load our stylesheet."""

    def protect(response: Response) -> Response:
        policy = DASHBOARD_POLICY if request.blueprint == dashboard else API_POLICY
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    app.after_request(protect)
