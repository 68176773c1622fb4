"""Pictures read in this process, without Ray: what a person does with a few of them."""

from __future__ import annotations

import glob
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from crnn import storage
from crnn.bundle import load_bundle
from crnn.decode import CharNgram
from crnn.decode.lexicon import read_lexicon
from crnn.errors import BundleError, DataError
from crnn.recognizer import Recognizer
from crnn.result import Result
from pipelines.manifest import MANIFEST_NAME
from pipelines.recognition.config import ReadOptions
from pipelines.recognition.listing import list_inputs

_AT_ONCE = 256


def read_here(names: Sequence[str], bundle: str, options: ReadOptions, *, as_json: bool) -> int:
    """Read these pictures and print a line for each as soon as some are read; how many failed.

    Text, confidence and picture with tabs between, or a JSON object. What can't be read is told
    on stderr, with the reason.

    ``names`` are pictures, patterns and folders; paths and addresses.

    Raises:
        BundleError: as ``load_bundle``.
        ValueError: for a decoder that there isn't, or arguments that it doesn't take.
        DataError: when nothing is where a pattern or a folder points, or it is a prepared set.
    """
    recognizer = Recognizer.load(
        bundle,
        device=options.device,
        batch_pixels=options.batch_pixels,
        engine=options.engine,
    )
    decode = recognizer.decoder(
        options.decoder or None,
        lexicon=read_lexicon(options.lexicon) if options.lexicon else None,
        ngram=CharNgram.load(options.ngram) if options.ngram else None,
    )
    pictures, failed = _pictures(names, options), 0
    while some := list(islice(pictures, _AT_ONCE)):
        results = recognizer.read(some, decoder=decode, chars=as_json and options.chars)
        for picture, result in zip(some, results, strict=True):
            _show(picture, result, as_json=as_json)
            failed += result.error_code is not None
    return failed


def check_digest(bundle: str, digest: str) -> None:
    """BundleError when the bundle isn't the one that was meant; an empty digest means any."""
    if not digest:
        return
    found = load_bundle(bundle, with_onnx=False).digest
    if found != digest:
        raise BundleError(
            f"{bundle} has the digest {found}, expected {digest}: another bundle was put there; "
            "give the one that was meant, or leave --digest out"
        )


def _pictures(names: Sequence[str], options: ReadOptions) -> Iterator[str]:
    """Every picture that the names stand for."""
    for name in names:
        here = storage.is_local(name)
        if here and Path(name).is_file():
            yield name
        elif glob.has_magic(storage.split_options(name)[0]) or (here and Path(name).is_dir()):
            yield from _listed(name, options)
        else:
            yield name  # missing, or on an object store: told when it is read


def _listed(name: str, options: ReadOptions) -> Iterator[str]:
    if storage.exists(storage.join(name, MANIFEST_NAME)):
        raise DataError(f"{name} is a prepared set; give it with --input, and --output")
    listed = False
    for page in list_inputs(name, all_files=options.all_files):
        listed = True
        yield from page["uri"].to_pylist()
    if not listed:
        raise DataError(f"there is no picture at {name}; expected pictures, a folder or a pattern")


def _show(picture: str, result: Result, *, as_json: bool) -> None:
    if result.error_code:
        print(f"{picture}: {result.error_code}: {result.error_message}", file=sys.stderr)
    if as_json:
        print(json.dumps(_plain(picture, result), ensure_ascii=False), flush=True)
    elif not result.error_code:
        print(f"{result.text}\t{result.confidence:.3f}\t{picture}", flush=True)


def _plain(picture: str, result: Result) -> dict[str, Any]:
    """As the HTTP API gives a result, with the picture's name as its id."""
    if result.error_code:
        return {
            "id": picture,
            "error": {"code": result.error_code, "message": result.error_message},
        }
    plain: dict[str, Any] = {
        "id": picture,
        "text": result.text,
        "confidence": result.confidence,
        "squeezed": result.squeezed,
        "turned": result.turned,
        "model": result.model,
    }
    if result.chars:
        plain["chars"] = [char._asdict() for char in result.chars]
    return plain
