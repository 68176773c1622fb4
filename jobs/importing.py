"""From the settings of ``jobs/import_model.py`` to a bundle: found out, rewritten, proven, kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from crnn.bundle.bundle import Bundle
from crnn.bundle.calibration import Calibration
from crnn.bundle.imported import Imported, save_imported
from crnn.bundle.importing.classes import Classes, blank_of, by_class, choose, from_metadata, listed
from crnn.bundle.importing.graph import Graph, look_at
from crnn.bundle.importing.packages import FoundGraph, Package, find
from crnn.bundle.importing.proof import Agreement, agreement, original, prove_rewritten
from crnn.bundle.importing.rewrite import Normalisation, rewrite
from crnn.bundle.json_file import BUNDLE_FILE, CARD_FILE
from crnn.bundle.onnx_file import ONNX_FILE, Proof, ProvenOnnx
from crnn.bundle.weights_file import WEIGHTS_FILE
from crnn.errors import DataError
from crnn.files import storage
from crnn.images.contract import PAD_GREY, PictureContract
from crnn.text.charset import CHARSETS, Charset, shown
from jobs.import_settings import ImportSettings
from pipelines.samples import pictures_at, rendered

DIFFERENCES_FILE = "differences.tsv"
_HEIGHTS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Usual bucket widths."""
_NARROW = (2, 8 / 3, 10 / 3, 4, 16 / 3)
"""Heights: 96, 128, 160, 192 and 256 px where pictures are 48 px high."""
_RENDERED = 60


@dataclass(frozen=True, kw_only=True)
class Made:
    """What came of an import."""

    data: bytes
    found: Mapping[str, str]
    proof: Proof
    agreement: Agreement | None
    """With the package's own code, where that is known and pictures were given."""


def import_model(settings: ImportSettings, *, report: Callable[[str], None]) -> Made:
    """Write the bundle.

    Raises:
        DataError: for a source that is no CTC recognizer, or that the settings don't fit, and for
            a folder that has other files.
        EngineError: when no engine reads what the source does, or packages are missing.
        ValueError: for settings that make no sense.
    """
    source = find(settings.source)
    _check_out(settings.out)
    entries = _characters(settings, source)
    sizes = {len(entries) + more for more in range(3)} if entries else set()
    graph = look_at(
        source.data,
        height=settings.height or (source.package.picture.height if source.package else None),
        output=settings.output_name or None,
        sizes=sizes,
    )
    normalisation = _normalisation(settings, source.package)
    classes = _classes(settings, source, graph, normalisation, entries)
    picture = _picture(settings, source.package, graph)
    report(f"rewriting {source.source}")
    data = rewrite(graph, classes, normalisation)
    imported = Imported(
        source=source.source,
        source_sha256=hashlib.sha256(source.data).hexdigest(),
        licence=settings.licence or (source.package.licence if source.package else "not stated"),
        time_steps={width: graph.time_steps(width) for width in picture.widths},
        found=_in_words(graph, classes, normalisation, picture),
    )
    name = settings.name or storage.base_name(settings.out)
    bundle = _in_memory(name, classes.charset, picture, imported)
    pictures = _pictures(settings, classes.charset)
    proof = prove_rewritten(
        bundle,
        data,
        original(graph, classes, normalisation),
        [data for _, data in pictures],
        report=report,
    )
    onnx = ProvenOnnx(data=data, proof=proof)
    found = _compared(settings, source.package, replace(bundle, onnx=onnx), pictures, report)
    save_imported(
        settings.out,
        onnx=onnx,
        imported=imported,
        charset=classes.charset,
        picture=picture,
        name=name,
        metrics={} if found is None else {"agreement with the package": found.to_dict()},
    )
    if found is not None:
        rows = ["picture\tpackage\tbundle", *("\t".join(row) for row in found.differences)]
        text = "\n".join(rows) + "\n"
        storage.write_bytes(storage.join(settings.out, DIFFERENCES_FILE), text.encode())
    return Made(data=data, found=imported.found, proof=proof, agreement=found)


def _characters(settings: ImportSettings, source: FoundGraph) -> list[str] | None:
    """Those that the settings or the package give; None: they are in the graph's metadata."""
    if settings.characters:
        try:
            return listed(storage.read_bytes(settings.characters).decode("utf-8-sig"))
        except FileNotFoundError:
            raise DataError(f"--characters: there is no file {settings.characters}") from None
        except UnicodeDecodeError as error:
            raise DataError(f"--characters {settings.characters} isn't UTF-8: {error}") from None
    return list(source.package.characters) or None if source.package else None


def _classes(
    settings: ImportSettings,
    source: FoundGraph,
    graph: Graph,
    normalisation: Normalisation,
    entries: list[str] | None,
) -> Classes:
    entries = entries or from_metadata(graph.metadata())
    if entries is None:
        raise DataError(
            f"the graph has {graph.num_classes:,} classes and its metadata no characters; give "
            "the list that it was trained with, --characters FILE"
        )
    place = _blank(settings, source, graph, normalisation)
    if place >= graph.num_classes:
        raise DataError(f"--blank is {place}, but the graph has {graph.num_classes:,} classes")
    by_id = by_class(entries, graph.num_classes, place)
    wanted = Charset.named(settings.charset).characters if settings.charset else None
    without = source.package.without if source.package else ""
    return choose({i: e for i, e in by_id.items() if not e or e not in without}, place, wanted)


def _blank(
    settings: ImportSettings, source: FoundGraph, graph: Graph, normalisation: Normalisation
) -> int:
    stated = settings.blank or (source.package.blank if source.package else "")
    if stated.isdecimal():
        return int(stated)
    if stated:
        return {"first": 0, "last": graph.num_classes - 1}[stated]
    shape = 1, graph.height, graph.width or 4 * graph.height, graph.channels
    greys = (np.full(shape, grey, dtype=np.uint8) for grey in (0, PAD_GREY, 255))
    return blank_of(graph, [normalisation.apply(pixels_NHWC) for pixels_NHWC in greys])


def _normalisation(settings: ImportSettings, package: Package | None) -> Normalisation:
    usual = package.normalisation if package else Normalisation()
    return Normalisation(
        order=settings.channel_order or usual.order,
        mean=settings.mean or usual.mean,
        std=settings.std or usual.std,
    )


def _picture(settings: ImportSettings, package: Package | None, graph: Graph) -> PictureContract:
    usual = package.picture if package else PictureContract()
    if graph.width is not None and settings.narrow:
        raise DataError(f"--narrow is for graphs of any width, and this one takes {graph.width} px")
    if graph.width is not None and settings.widths not in ((), (graph.width,)):
        raise DataError(
            f"--widths are {settings.widths}, but the graph takes pictures of {graph.width} px only"
        )
    if graph.width is not None:
        widths: tuple[int, ...] = (graph.width,)
    else:
        heights = tuple(graph.height * many for many in _HEIGHTS)
        widths = settings.widths or (usual.widths if package else heights)
        if settings.narrow:
            narrow = {round(graph.height * many) for many in _NARROW}
            widths = tuple(sorted({*widths, *(px for px in narrow if px < widths[0])}))
    return replace(
        usual,
        height=graph.height,
        channels=3 if graph.channels == 3 else 1,
        mode="bucket" if graph.width is None or settings.widths else "fixed",
        widths=widths,
        padding=usual.padding if settings.padding < 0 else settings.padding,
        shrinking=settings.shrinking or usual.shrinking,
    )


def _in_words(
    graph: Graph, classes: Classes, normalisation: Normalisation, picture: PictureContract
) -> dict[str, str]:
    colours = normalisation.order.upper() if graph.channels == 3 else "grey"
    width = "any width" if graph.width is None else f"{graph.width} px wide"
    axes = "NHWC" if graph.channels_last else "NCHW"
    numbers = [",".join(f"{v:g}" for v in vs) for vs in (normalisation.mean, normalisation.std)]
    kept = len(classes.charset.characters)
    said = [f"{kept:,} kept: {shown(classes.charset.characters)}"]
    said += [f"{classes.num_cut:,} cut"] if classes.num_cut else []
    said += [f"{classes.merged} made of two classes each"] if classes.merged else []
    said += [f"{shown(classes.left_out)} left out"] if classes.left_out else []
    steps = picture.widths[0] / graph.time_steps(picture.widths[0])
    return {
        "takes": f"pictures {axes}, {graph.height} px high, {width}, {colours}, (pixel / 255 - "
        f"{numbers[0]}) / {numbers[1]}",
        "gives": f"{graph.scale} {graph.axes}, {graph.num_classes:,} classes, blank "
        f"{classes.order[0]}, a time step every {steps:.3g} px",
        "pads": f"with grey {picture.padding} to {', '.join(map(str, picture.widths))} px, shrinks "
        f"by {picture.shrinking}",
        "characters": "; ".join(said),
    }


def _check_out(uri: str) -> None:
    """DataError for a folder that is no bundle and has a file that a bundle's would replace."""
    if storage.exists(storage.join(uri, BUNDLE_FILE)):
        return
    for name in (ONNX_FILE, WEIGHTS_FILE, CARD_FILE):
        if storage.exists(storage.join(uri, name)):
            raise DataError(
                f"{uri} holds {name!r} and no {BUNDLE_FILE}: the bundle would replace a file that "
                "isn't one of a bundle; choose an empty or a new folder"
            )


def _in_memory(name: str, charset: Charset, picture: PictureContract, imported: Imported) -> Bundle:
    return Bundle(
        model=None,
        model_config=None,
        charset=charset,
        picture=picture,
        decoder="greedy",
        calibration=Calibration(),
        name=name,
        data_digest="",
        metrics={},
        digest="",
        imported=imported,
    )


def _pictures(settings: ImportSettings, charset: Charset) -> list[tuple[str, bytes]]:
    if settings.proof:
        return pictures_at(settings.proof, settings.pictures)
    usual = "".join(c for c in CHARSETS["ascii"] if c in charset.characters)
    samples = rendered(usual or charset.characters[:100], min(settings.pictures, _RENDERED))
    return [(text, data) for data, text in samples]


def _compared(
    settings: ImportSettings,
    package: Package | None,
    bundle: Bundle,
    pictures: list[tuple[str, bytes]],
    report: Callable[[str], None],
) -> Agreement | None:
    if package is None or not settings.proof:
        return None
    try:
        own = package.reader()
    except ImportError as error:
        raise DataError(
            f"--proof needs the package's own code, which can't be imported: {error}; install it, "
            "or leave --proof out"
        ) from error
    report(f"reading {len(pictures):,} pictures with the package's own code")
    return agreement(bundle, own, pictures)
