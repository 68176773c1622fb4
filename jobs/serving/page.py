"""The page at ``/``: drop a picture, see its text. One file that loads nothing from elsewhere.

``page.html`` names the styles and the scripts beside it, which are put into it here; the scripts
are parts of one, in their order.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

from fastapi import APIRouter, Request
from starlette.responses import Response

_FILE = "page.html"
_STYLES = re.compile(r'(?:<link rel="stylesheet" href="[\w.]+">\n)+')
_SCRIPTS = re.compile(r'(?:<script src="[\w.]+"></script>\n)+')
_NAMED = re.compile(r'(?:href|src)="([\w.]+)"')
_INLINE = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)


def router() -> APIRouter:
    """``GET /``; open to all, as the page itself asks for the token."""
    routes = APIRouter()
    html = page_html()
    headers = page_headers(html)
    body = html.encode()

    @routes.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="text/html", headers=headers)

    return routes


def page_html() -> str:
    """The page with its styles and its script in it."""
    html = _STYLES.sub(lambda found: f"<style>\n{_all(found)}</style>\n", _text(_FILE))
    return _SCRIPTS.sub(
        lambda found: f'<script>\n"use strict";\n(() => {{\n{_all(found)}}})();\n</script>\n', html
    )


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


def _all(found: re.Match[str]) -> str:
    """The files that these lines name, one after the other."""
    return "\n".join(map(_text, _NAMED.findall(found[0])))


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
