"""Pictures read in this process, without Ray: what a person does with a few of them."""

from __future__ import annotations

import glob
import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from crnn.bundle.bundle import load_bundle
from crnn.decode import CharNgram, Decoder
from crnn.decode.lexicon import read_lexicon
from crnn.errors import DataError
from crnn.files import storage
from crnn.inference.cascade import Cascade
from crnn.inference.doubt import checked_digest
from crnn.inference.recognizer import Recognizer
from crnn.result import Result
from jobs.read_pages_here import read_pages_here
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
    recognizer = _recognizer(bundle, options)
    decode = _decoder(recognizer, options)
    if options.pages:
        return read_pages_here(pictures(names, options), recognizer, decode, options, as_json)
    found, failed = pictures(names, options), 0
    while some := list(islice(found, _AT_ONCE)):
        results = recognizer.read(some, decoder=decode, chars=as_json and options.chars)
        for picture, result in zip(some, results, strict=True):
            _show(picture, result, as_json=as_json)
            failed += result.error_code is not None
    return failed


def check_digest(bundle: str, options: ReadOptions, digest: str) -> None:
    """BundleError when it isn't what was meant, with ``--then`` both bundles together; an empty
    digest means any."""
    if not digest:
        return
    first, then = load_bundle(bundle, with_onnx=False), options.second(with_onnx=False)
    checked_digest(first, then, digest, uri=bundle, then_uri=options.then)


def _recognizer(bundle: str, options: ReadOptions) -> Recognizer | Cascade:
    first, *others = [
        Recognizer.load(
            uri,
            device=options.device,
            batch_pixels=options.batch_pixels,
            engine=options.engine,
        )
        for uri in (bundle, options.then)
        if uri
    ]
    return Cascade(first, others[0], below=options.below, surer=options.surer) if others else first


def _decoder(recognizer: Recognizer | Cascade, options: ReadOptions) -> Decoder | None:
    """The decoder that is asked for; None for each bundle's own."""
    if not (options.decoder or options.lexicon or options.ngram):
        return None
    first = recognizer if isinstance(recognizer, Recognizer) else recognizer.first
    return first.decoder(
        options.decoder or None,
        lexicon=read_lexicon(options.lexicon) if options.lexicon else None,
        ngram=CharNgram.load(options.ngram) if options.ngram else None,
    )


def pictures(names: Sequence[str], options: ReadOptions) -> Iterator[str]:
    """Every picture that the names stand for."""
    for name in names:
        path = storage.local_path(name) if storage.is_local(name) else ""
        if os.path.isfile(path):  # noqa: PTH113 - Path's raises where nobody may look
            yield name
        elif os.path.isdir(path):  # noqa: PTH112
            yield from _listed(name, options) if _may_look(path) else [name]
        elif glob.has_magic(storage.split_options(name)[0]):
            yield from _listed(name, options)
        else:
            yield name  # missing, or on an object store: told when it is read


def _may_look(folder: str) -> bool:
    try:
        os.scandir(folder).close()
        os.stat(f"{folder}/.")  # noqa: PTH116 - that is what rights to its names are needed for
    except OSError:
        return False
    return True


def _listed(name: str, options: ReadOptions) -> Iterator[str]:
    if storage.exists(storage.join(name, MANIFEST_NAME)):
        raise DataError(f"{name} is a prepared set; give it with --input, and --output")
    listed = False
    for page in list_inputs(name, all_files=options.all_files, documents=options.pages):
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
