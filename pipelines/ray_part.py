"""What Ray calls private, by its name: the thing itself, or a sentence on what to do.

Ray is imported when it is asked for: it reads its settings from the environment then.
"""

from __future__ import annotations

import pkgutil
from typing import Any

from crnn.errors import RayChangedError


def ray_part(name: str) -> Any:
    """What ``name``, as ``ray._private.parameter:RayParams``, stands for.

    Raises:
        RayChangedError: when this Ray has no such thing.
    """
    try:
        return pkgutil.resolve_name(name)
    except (ImportError, AttributeError) as error:
        raise changed(name.replace(":", ".")) from error


def changed(lacks: str) -> RayChangedError:
    """The error for a Ray that lacks something."""
    import ray

    return RayChangedError(
        f"Ray {ray.__version__} has no {lacks}; use the Ray that requirements.lock names"
    )
