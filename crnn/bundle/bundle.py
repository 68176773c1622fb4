"""The bundle: a folder, here or in an object store, that holds all that inference needs.

``model.safetensors`` (weights), ``MODEL_CARD.md`` (for people; perhaps with ``reliability.svg``)
and ``bundle.json`` (everything else), written in this order: a folder without ``bundle.json`` is
unfinished. ``model.onnx``, the same model for other runtimes, is there once ``jobs/export.py`` has
proven it, and ``language.safetensors`` a language model, once ``jobs/language.py`` has added one.
Only safetensors, JSON and ONNX graphs are ever read, so that loading an untrusted
bundle runs no code from it. The weights file carries the charset too, hence its SHA-256 identifies
what a
class id means. A bundle of kind ``imported`` (``crnn.bundle.imported``) has ``model.onnx`` alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from crnn.bundle.calibration import Calibration, ConfidenceBin
from crnn.bundle.imported import IMPORTED, Imported
from crnn.bundle.json_file import (
    BUNDLE_FILE,
    FORMAT_VERSION,
    finish,
    from_json,
    read_about,
    read_file,
    to_json,
)
from crnn.bundle.language_file import LANGUAGE_FILE, read_language, write_language
from crnn.bundle.onnx_file import ONNX_FILE, ProvenOnnx, read_onnx
from crnn.bundle.reading_policy import READ_ONCE, ReadingPolicy
from crnn.bundle.reduced import Loss
from crnn.bundle.reliability import RELIABILITY_FILE
from crnn.bundle.weights_file import WEIGHTS_FILE, check_charset, weights_file
from crnn.decode import DECODERS, Fusion
from crnn.errors import BundleError, CharsetError
from crnn.files import storage
from crnn.images.contract import LATER_SETTINGS, PictureContract
from crnn.model.network import CRNN, ModelConfig
from crnn.text.charset import Charset
from crnn.text.order import turning


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle in memory, as ``load_bundle`` gives it."""

    model: CRNN | None
    """In eval mode, float32; None of an imported recognizer, which is ``onnx`` alone."""
    model_config: ModelConfig | None
    charset: Charset
    picture: PictureContract
    decoder: str
    """The decoder to use unless the caller names another."""
    calibration: Calibration
    name: str
    data_digest: str
    """Identity of the training data, from its manifest; empty if unknown."""
    metrics: dict[str, Any]
    """As measured when the bundle was saved; any JSON."""
    digest: str
    """SHA-256, hexadecimal, of everything that decides a reading: the model's identity in results
    and ledgers. See ``reading_digest``."""
    weights_sha256: str = ""
    """SHA-256 of the weights file, hexadecimal."""
    reading: ReadingPolicy = READ_ONCE
    """When a picture is read more than once."""
    onnx: ProvenOnnx | None = None
    """The same model for other runtimes, if it was exported."""
    training: dict[str, Any] | None = None
    """How it was made (commands, seed, samples, hours, machine); any JSON; None if unknown."""
    reliability: tuple[ConfidenceBin, ...] = ()
    """How often its confidences were right, in those intervals that had readings."""
    reduced: Mapping[str, Loss] = field(default_factory=dict)
    """What is lost with engines of reduced precision, by their name, where it was measured."""
    imported: Imported | None = None
    """Where an imported recognizer comes from."""
    fusion: Fusion | None = None
    """The decoder with the bundle's language model, if it has one."""

    def network(self) -> CRNN:
        """The model that PyTorch runs and trains.

        Raises:
            BundleError: when the recognizer was imported.
        """
        if self.model is None:
            raise BundleError(
                f"the bundle {self.name!r} is of kind {IMPORTED!r}, an ONNX graph without "
                "weights for PyTorch: it runs on the engines 'onnx' and 'openvino' only, and "
                "can be neither trained nor exported; train a bundle of kind 'crnn' on its "
                "readings with crnn teach"
            )
        return self.model

    def time_steps(self, width_px: int) -> int:
        """T for pictures of this bucket."""
        if self.imported is not None:
            return self.imported.time_steps[width_px]
        return self.network().time_steps(width_px)


def save_bundle(
    folder: Path | str,
    *,
    model: CRNN,
    charset: Charset,
    picture: PictureContract,
    reading: ReadingPolicy = READ_ONCE,
    decoder: str = "greedy",
    calibration: Calibration = Calibration(),  # noqa: B008  (frozen)
    name: str,
    data_digest: str,
    metrics: Mapping[str, Any],
    training: Mapping[str, Any] | None = None,
    reliability: Sequence[ConfidenceBin] = (),
    float16: bool = False,
    fusion: Fusion | None = None,
) -> str:
    """Write a bundle and return its digest; the same arguments give the same bytes.

    A bundle already there becomes unfinished first and whole again at the end.

    Args:
        folder: a local folder (created if needed), or an address of ``crnn.files.storage``.
        training: for the card: ``commands``, a list, and any other JSON.
        reliability: of the calibrated confidences, for the card's plot; empty bins are left out.
        float16: halve the file; biases, batch norm statistics and what is too large stay float32.
        fusion: needed where ``decoder`` is ``fusion``.

    Raises:
        ValueError: when head, charset and decoder don't go together, or ``metrics`` aren't plain
            JSON; nothing is written then.
    """
    _check(model, charset, decoder, fusion)
    weights = weights_file(model, charset, float16=float16)
    weights_sha256 = hashlib.sha256(weights).hexdigest()
    about = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "model": asdict(model.config),
        "charset": charset.characters,
        "text_order": charset.text_order,
        "picture": picture.stated(),
        "reading": asdict(reading),
        "decoder": decoder,
        "calibration": asdict(calibration),
        "data_digest": data_digest,
        "metrics": dict(metrics),
        "training": dict(training) if training else None,
        "reliability": [asdict(b) for b in reliability if b.count],
        "weights": {"file": WEIGHTS_FILE, "sha256": weights_sha256, "float16": float16},
    }
    to_json(about)  # before anything is written
    uri = str(folder)
    for file in (BUNDLE_FILE, ONNX_FILE, RELIABILITY_FILE, LANGUAGE_FILE):  # of other weights
        storage.delete(storage.join(uri, file))
    if fusion is not None:
        about["language"] = write_language(uri, fusion)
    storage.write_bytes(storage.join(uri, WEIGHTS_FILE), weights)
    finish(uri, to_json(about), num_parameters=count_parameters(model))
    return reading_digest(json.loads(to_json(about)))


def reading_digest(about: Mapping[str, Any]) -> str:
    """SHA-256 over what a bundle's JSON object says of how a picture is read.

    That is the weights (with their charset), the picture contract, the reading policy, the
    calibration, the order of its texts and its language model with the settings: two bundles of one
    digest give the same text with the same confidence. One that reads once, pictures of a usual
    contract and without a language model, has the digest of its weights, as all had before
    policies; an imported one never has, as its graph doesn't tell what pictures it takes.
    """
    weights: str = about["weights"]["sha256"]
    once = about.get("reading") in (None, json.loads(json.dumps(asdict(READ_ONCE))))
    plain = "imported" not in about and about.get("language") is None
    if once and plain and LATER_SETTINGS.isdisjoint(about["picture"]):
        return weights
    parts = {key: about.get(key) for key in ("picture", "reading", "calibration", "text_order")}
    if about.get("language") is not None:  # without one the digest is as it was before there were
        parts["language"] = {key: about["language"][key] for key in ("sha256", "fusion")}
    text = json.dumps({"weights": weights, **parts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def count_parameters(model: CRNN) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters())


def load_bundle(
    uri: Path | str, *, device: torch.device | str = "cpu", with_onnx: bool = True
) -> Bundle:
    """Read a bundle from a folder or an address, check it, and put its model on ``device``.

    Args:
        with_onnx: False leaves ``model.onnx`` as it is.

    Raises:
        BundleError: when it is missing, unfinished, damaged or of another format version; when
            the weights' digest, their charset or a shape isn't the one that bundle.json states;
            when it names a ``model.onnx`` that is missing, or that was changed.
    """
    uri = str(uri)
    about = read_about(uri)
    settings, stated = _settings(uri, about)
    if about.get("language") is not None:
        settings["fusion"] = read_language(uri, about["language"], settings["charset"])
    if settings["imported"] is not None:
        return _imported(uri, about, settings, stated, with_onnx=with_onnx)
    weights = read_file(uri, WEIGHTS_FILE)
    digest = hashlib.sha256(weights).hexdigest()
    if digest != stated:
        raise BundleError(
            f"{uri}/{WEIGHTS_FILE} has SHA-256 {digest}, {BUNDLE_FILE} states {stated}; "
            "the bundle is damaged, or its files are of two bundles: copy it again"
        )
    model = _model(uri, settings, weights).to(device).eval()
    onnx = None
    if with_onnx and about.get("onnx") is not None:
        onnx = read_onnx(uri, about["onnx"], weights_sha256=digest)
    return Bundle(
        model=model,
        digest=reading_digest(about),
        weights_sha256=digest,
        onnx=onnx,
        **settings,
    )


def about_of(uri: str, bundle: Bundle, what: str) -> dict[str, Any]:
    """bundle.json at ``uri``, if the weights there are those of ``bundle``.

    Raises:
        BundleError: when there are other weights by now, or no bundle; ``what`` was for the others.
    """
    about = read_about(uri)
    stated = _settings(uri, about)[1]
    if stated != bundle.weights_sha256:
        raise BundleError(
            f"{uri} has weights of SHA-256 {stated}, {what} for {bundle.weights_sha256}; it was "
            "saved again since: export it again"
        )
    return about


def shape_of(uri: str) -> tuple[ModelConfig | None, PictureContract]:
    """What a bundle states of its network (None: imported) and of its pictures; reads no weights.

    Raises:
        BundleError: when ``bundle.json`` is missing, damaged or of another version.
    """
    settings, _ = _settings(uri, read_about(uri))
    return settings["model_config"], settings["picture"]


def _imported(
    uri: str, about: dict[str, Any], settings: dict[str, Any], stated: str, *, with_onnx: bool
) -> Bundle:
    """The bundle of a graph alone, which is its weights."""
    onnx = read_onnx(uri, about.get("onnx"), weights_sha256=stated) if with_onnx else None
    if onnx is not None and hashlib.sha256(onnx.data).hexdigest() != stated:
        raise BundleError(
            f"{uri}/{BUNDLE_FILE} states two different digests of {ONNX_FILE}; import the "
            "recognizer again"
        )
    return Bundle(
        model=None, digest=reading_digest(about), weights_sha256=stated, onnx=onnx, **settings
    )


def _settings(uri: str, about: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The fields of ``Bundle`` that bundle.json states, and the weights' SHA-256."""
    try:
        imported = Imported.of(about)
        settings = {
            "model_config": None if imported else from_json(ModelConfig, about["model"]),
            "imported": imported,
            "charset": _charset(about),
            "picture": from_json(PictureContract, about["picture"]),
            "calibration": from_json(Calibration, about["calibration"]),
            **{key: about[key] for key in ("decoder", "name", "data_digest", "metrics")},
            "training": about.get("training"),  # older bundles lack these
            "reading": (
                from_json(ReadingPolicy, about["reading"]) if "reading" in about else READ_ONCE
            ),
            "reliability": tuple(
                from_json(ConfidenceBin, entry) for entry in about.get("reliability", ())
            ),
            "reduced": {
                name: from_json(Loss, entry)
                for name, entry in dict(about.get("reduced", {})).items()
            },
        }
        if imported:
            imported.check_widths(settings["picture"])
        _check_decoder(settings["decoder"], about.get("language") is not None)
        return settings, about["weights"]["sha256"]
    except KeyError as error:
        raise BundleError(f"{uri}/{BUNDLE_FILE} lacks {error}; save the bundle again") from error
    except (CharsetError, TypeError, ValueError) as error:
        raise BundleError(f"{uri}/{BUNDLE_FILE}: {error}; save the bundle again") from error


def _charset(about: dict[str, Any]) -> Charset:
    """Bundles older than the field were trained on right-to-left texts in their logical order."""
    characters = about["charset"]
    usual = "logical" if turning(characters) else "auto"
    return Charset(characters, about.get("text_order", usual))


def _model(uri: str, settings: dict[str, Any], weights: bytes) -> CRNN:
    try:
        state = safetensors.torch.load(weights)
        header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    except (SafetensorError, ValueError) as error:
        raise BundleError(f"{uri}/{WEIGHTS_FILE} is not a safetensors file: {error}") from error
    charset, picture = settings["charset"], settings["picture"]
    check_charset(uri, state, header.get("__metadata__", {}), charset)
    try:
        with torch.random.fork_rng(devices=[]):  # a load leaves the caller's random numbers alone
            model = CRNN(
                settings["model_config"],
                num_classes=charset.num_classes,
                in_channels=picture.channels,
                height=picture.height,
            )
        model.load_state_dict(state)  # copies into float32, whichever type is stored
    except (RuntimeError, ValueError) as error:
        raise BundleError(f"{uri}: weights and settings don't match: {error}") from error
    return model


def _check(model: CRNN, charset: Charset, decoder: str, fusion: Fusion | None) -> None:
    _check_decoder(decoder, fusion is not None)
    if fusion is not None:
        fusion.check(charset)
    if model.head.out_features != charset.num_classes:
        raise ValueError(
            f"the model has {model.head.out_features} classes, but the charset makes "
            f"{charset.num_classes} (its characters and the blank); save the model with the "
            "charset that it was trained with"
        )


def _check_decoder(name: str, with_language: bool) -> None:
    if name not in DECODERS:
        raise ValueError(f"decoder is {name!r}; expected one of {sorted(DECODERS)}")
    if name == "fusion" and not with_language:
        raise ValueError("decoder is 'fusion', but there is no language model; expected both")
