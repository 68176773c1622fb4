"""Serve recognition over HTTP; pictures of all callers are batched together.

    python jobs/serve.py                                     on this machine, until Ctrl-C
    python jobs/serve.py --bundle s3://b/bundle --host 0.0.0.0 --token-file token
    python jobs/serve.py --then s3://b/strong --below 0.9    a second one reads what is doubtful
    serve run jobs.serve:app bundle=runs/first/bundle
    python jobs/serve.py --bundle B --write-config serve.yaml, then serve deploy serve.yaml
    ray job submit -- python jobs/serve.py --bundle B

Reports when it is ready, and how to call it. Ctrl-C answers the requests that have arrived, then
ends. SIGHUP reloads the bundle from its address and rolls it in. /docs describes the API, / is a
page to try it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jobs import cli
from jobs.serving.settings import Here, ServeSettings, from_arguments

if TYPE_CHECKING:
    from ray.serve import Application

Part = TypeVar("Part", Here, ServeSettings)


@dataclass(frozen=True, kw_only=True)
class ServeArguments(ServeSettings, Here):
    """What is served, and where."""

    def __post_init__(self) -> None:
        ServeSettings.__post_init__(self)
        Here.__post_init__(self)

    def part(self, kind: type[Part]) -> Part:
        """The fields of one of the two."""
        return kind(**{field.name: getattr(self, field.name) for field in fields(kind)})


def main(argv: Sequence[str]) -> None:
    """Serve as the arguments say, until a signal comes; or write the configuration."""
    arguments = cli.parse(ServeArguments, argv, description=__doc__ or "")
    here, settings = arguments.part(Here), arguments.part(ServeSettings)
    if here.write_config:
        from jobs.serving.config_file import write

        print(write(here, settings), flush=True)
        return
    from jobs.serving.run import run

    run(here, settings)


def app(arguments: Mapping[str, Any]) -> Application:
    """The Serve application, for ``serve run`` and ``serve deploy``; arguments as the flags."""
    from crnn.files import storage
    from jobs.serving.deployment import application
    from jobs.serving.shipped import address, found_detector

    settings = from_arguments(arguments)
    then = settings.then and storage.absolute(settings.then)
    detector = found_detector(settings.detector)
    bundle = address(settings.bundle)[0]
    return application(replace(settings, bundle=bundle, then=then, detector=detector))


if __name__ == "__main__":
    cli.run(main)
