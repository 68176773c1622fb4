"""The page at ``/``: drop a picture, see its text. One file that loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

from fastapi import APIRouter, Request
from starlette.responses import Response

_FILE = "page.html"
_INLINE = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)


def router() -> APIRouter:
    """``GET /``; open to all, as the page itself asks for the token."""
    routes = APIRouter()
    html = resources.files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    headers = page_headers(html)
    body = html.encode()

    @routes.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="text/html", headers=headers)

    return routes


def page_headers(html: str) -> dict[str, str]:
    """Only what stands in the page may run, and it may talk to its own service alone."""
    hashes = {kind: _hash(content) for kind, content in _INLINE.findall(html)}
    policy = {
        "default-src": "'none'",
        "script-src": hashes["script"],
        "style-src": hashes["style"],
        "img-src": "blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache",
        "ETag": f'"{hashlib.sha256(html.encode()).hexdigest()[:32]}"',
    }


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
