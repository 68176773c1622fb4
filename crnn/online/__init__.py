"""Reading for many callers at once: pictures of one width share a batch, no matter who sent them.

    online = OnlineRecognizer(load_bundle("bundles/strings"), OnlineConfig())
    online.warm_up()
    results = await online.read([data], timeout_s=10)  # from any number of tasks of one loop
    await online.aclose()

For asyncio; knows neither HTTP nor Ray. Pictures wait in a ``Batcher`` by bucket; engine threads
take batches from it and hand results back to the event loop. Small plain pictures
(``crnn.images.plain``), whose bucket their header tells, are decoded by the engine threads, all
others before, in the processes of ``crnn.images.sandbox.pool``. Texts equal ``Recognizer.read``'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crnn.lazily import names_of

if TYPE_CHECKING:
    from crnn.online.config import OnlineConfig
    from crnn.online.observer import Observer, Pass
    from crnn.online.recognizer import OnlineRecognizer

__all__ = ["Observer", "OnlineConfig", "OnlineRecognizer", "Pass"]

__getattr__ = names_of(__name__, __all__, "config", "observer", "recognizer")
