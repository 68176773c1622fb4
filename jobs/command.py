"""The command ``crnn``: each job under one name, as its script in ``jobs/`` is.

``crnn train --name first`` is ``python jobs/train.py --name first``. A job is imported when it is
asked for, so that this module costs nothing.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

DISTRIBUTION = "crnn-on-ray"
PROGRAM = "crnn"


class Command(NamedTuple):
    """What a name stands for."""

    module: str
    """In ``jobs``; its ``main`` takes the arguments."""
    about: str
    """One line of help."""


COMMANDS = {
    "read": Command("read", "read some pictures here and print their texts"),
    "prepare": Command("prepare", "turn labelled pictures into shards for training"),
    "inspect": Command("inspect_data", "report what is wrong with labelled pictures"),
    "compare": Command("compare_data", "compare sets of pictures, with distances"),
    "synthesize": Command("synthesize", "render labelled words and lines"),
    "train": Command("train", "train a recognizer on shards"),
    "teach": Command("teach", "train a small recognizer on the readings of a strong one"),
    "evaluate": Command("evaluate", "measure how well a recognizer reads prepared sets"),
    "export": Command("export", "add an ONNX model, which runs faster on a CPU"),
    "import": Command("import_model", "make a bundle of another project's ONNX recognizer"),
    "calibrate": Command("calibrate", "fit a bundle's confidences to labelled pictures"),
    "language": Command("language", "give a bundle a language model for doubtful readings"),
    "ngram": Command("ngram", "make a character n-gram of texts for the beam decoder"),
    "recognize": Command("recognize", "read a folder, a bucket or a list into Parquet"),
    "documents": Command("documents", "write the text of pages as txt, JSON, hOCR or ALTO"),
    "review": Command("review", "make a page to correct doubtful readings"),
    "serve": Command("serve", "answer requests over HTTP"),
}


def main() -> NoReturn:
    """Run the job that the command line names, and end the process with its status.

    Status 2 and a list of the commands for one that there isn't.
    """
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help", "help"):
        sys.exit(_show(usage()))
    if name in ("-V", "--version"):
        sys.exit(_show(f"{DISTRIBUTION} {version()}"))
    if name not in COMMANDS:
        sys.exit(_refuse(name))
    run(name, arguments)
    sys.exit(0)


def run(name: str, arguments: Sequence[str]) -> None:
    """One job, as ``python jobs/<name>.py`` runs it."""
    from jobs import cli  # which needs to know the commands

    sys.argv = [f"{PROGRAM} {name}", *arguments]  # by which its help calls it
    # Imported within, so that a package that it lacks is said in words.
    cli.run(lambda given: importlib.import_module(f"jobs.{COMMANDS[name].module}").main(given))


def usage() -> str:
    """One screen: every command with a line on what it does."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.about}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: crnn COMMAND [ARGUMENTS]",
            "",
            "Train a text recognizer, run it over buckets of pictures, and serve it.",
            "",
            *lines,
            "",
            "crnn COMMAND --help lists its settings; crnn --version prints the version.",
        ]
    )


def version() -> str:
    """Version of the installed project."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _show(text: str) -> int:
    """Print it; status 141, as of the jobs, if the reader has gone, as in ``crnn | true``."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


def _refuse(name: str) -> int:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    print(f"error: crnn has no command {name!r}{hint}; expected one of", file=sys.stderr)
    print(f"{', '.join(COMMANDS)}. See crnn --help", file=sys.stderr)
    return 2
