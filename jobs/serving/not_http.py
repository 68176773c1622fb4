"""What uvicorn says to what isn't HTTP, or an HTTP that it doesn't know: a problem as any other.

Ray Serve listens with uvicorn, which answers such requests before any application is asked, in
plain text. Neither that nor its WebSockets, which the service has none of, can be set there.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from jobs.serving.problems import Problem


def answer_with_problems(protocol: type[Any] = AutoHTTPProtocol) -> None:
    """From now on, in this process; who asks for a WebSocket is answered as if they hadn't.

    Raises:
        TypeError: where this uvicorn does that in another place.
    """
    for name, ours in (("send_400_response", _send_problem), ("_should_upgrade_to_ws", _never)):
        if not hasattr(protocol, name):
            raise TypeError(
                f"uvicorn's {protocol.__name__} has no {name}; use the uvicorn that "
                "requirements.lock names"
            )
        setattr(protocol, name, ours)


def _never(self: Any) -> bool:
    return False


def _send_problem(self: Any, message: str) -> None:
    """``message``: uvicorn's own words."""
    problem = Problem(code="malformed", detail=f"not valid HTTP/1.1: {message}")
    self.transport.write(problem.raw())
    self.transport.close()
