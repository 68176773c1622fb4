"""The recognition service from Python: pictures in, the recognizer's results out, over HTTP.

    from crnn.client import Client
    with Client("http://127.0.0.1:8000") as client:
        print(client.read("picture.png").text)
        print("\n\n".join(page.text for page in client.read_page("book.pdf")))

``pictures`` (any accepted form of a picture → bytes in requests of bounded size) → ``calls``
(what is asked, and what an answer means) → ``retry`` (when to ask again) → ``drivers`` (sending,
blocking or not). Needs httpx alone (``pip install 'crnn-on-ray[client]'``), and no PyTorch.
"""

try:
    import httpx as _httpx  # noqa: F401
except ImportError as error:
    raise ImportError(
        "crnn.client needs httpx, which isn't installed: pip install 'crnn-on-ray[client]'"
    ) from error

from crnn.client.answers import Job, ModelInfo, Page, PageLine
from crnn.client.drivers import AsyncClient, Client
from crnn.result import CharResult, Result

__all__ = [
    "AsyncClient",
    "CharResult",
    "Client",
    "Job",
    "ModelInfo",
    "Page",
    "PageLine",
    "Result",
]
