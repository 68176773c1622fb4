"""An evaluation before it runs: bundle, sets and arguments checked without Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crnn.bundle.bundle import Bundle, load_bundle
from crnn.engines import AUTO, check_engine
from crnn.errors import CharsetError, DataError
from crnn.files import storage
from crnn.inference.recognizer import Recognizer
from crnn.text.charset import shown
from pipelines.evaluation.plan import Piece, plan_set
from pipelines.evaluation.reader import ReaderConfig
from pipelines.shards import Manifest, check_sizes, load_manifest


@dataclass(frozen=True, kw_only=True)
class Planned:
    """An evaluation whose bundle and sets were found sound; ``carry_out`` runs it."""

    bundle_uri: str
    sets: dict[str, str]
    manifests: dict[str, Manifest]
    pieces: list[Piece]
    config: ReaderConfig
    limit: int

    @property
    def rows(self) -> int:
        """Rows to look at, of all sets."""
        return sum(piece.rows for piece in self.pieces)


def plan_evaluation(
    bundle_uri: str,
    sets: Mapping[str, str],
    *,
    decoder: str | None = "greedy",
    lexicon: Sequence[str] | None = None,
    engine: str = AUTO,
    held_out_share: float = 0.0,
    limit: int = 0,
    use_gpu: bool = False,
) -> Planned:
    """Check bundle, sets and arguments, without Ray, and list what is to be read.

    Args:
        bundle_uri: folder or address of the bundle.
        sets: name → address of a prepared set.
        decoder: a name of ``crnn.decode.DECODERS``; None for the bundle's own, or ``lexicon``
            where a lexicon is given.
        lexicon: the words allowed, for the lexicon decoder.
        engine: as for ``crnn.engines.build_engine``.
        held_out_share: above 0, only samples that ``is_held_out`` of this share.
        limit: maximum number of samples of each set; 0 for all.
        use_gpu: one process for each GPU of the cluster, in place of one for each CPU.

    Raises:
        ValueError: for bad arguments.
        BundleError: as ``load_bundle``.
        EngineError: when the bundle can't be read with the engine.
        DataError: for a set that is missing, unfinished, empty or incomplete.
        CharsetError: when the bundle's charset has no character of a set.
    """
    _check_arguments(sets, held_out_share, limit)
    bundle = load_bundle(bundle_uri)
    check_engine(engine, bundle, "cuda" if use_gpu else "cpu")
    Recognizer(bundle).decoder(decoder, lexicon=lexicon)
    absolute = {name: _absolute(uri) for name, uri in sets.items()}
    manifests = {name: _manifest(bundle, uri) for name, uri in absolute.items()}
    return Planned(
        bundle_uri=bundle_uri,
        sets=dict(sets),
        manifests=manifests,
        pieces=[
            piece
            for name, uri in absolute.items()
            for piece in plan_set(
                name, uri, manifests[name], held_out_share=held_out_share, limit=limit
            )
        ],
        config=ReaderConfig(
            bundle=bundle,
            decoder=decoder,
            lexicon=lexicon,
            engine=engine,
            held_out_share=held_out_share,
            use_gpu=use_gpu,
        ),
        limit=limit,
    )


def _check_arguments(sets: Mapping[str, str], held_out_share: float, limit: int) -> None:
    if not sets:
        raise ValueError("there is no set to evaluate; give at least one prepared set")
    if not 0 <= held_out_share <= 1:
        raise ValueError(f"held_out_share is {held_out_share}; expected 0 (all samples) to 1")
    if limit < 0:
        raise ValueError(f"limit is {limit}; expected 0 (all) or a number of samples")


def _absolute(uri: str) -> str:
    return storage.resolve(uri)[1] if storage.is_local(uri) else uri


def _manifest(bundle: Bundle, uri: str) -> Manifest:
    """The manifest of a set that is whole and in reach of the bundle's charset."""
    manifest = load_manifest(uri)
    if not manifest.count:
        raise DataError(f"{uri} holds no samples; its rejects are {manifest.rejects}")
    check_sizes(uri, manifest)
    if manifest.characters and not set(manifest.characters) & set(bundle.charset.characters):
        raise CharsetError(
            f"the charset of the bundle {bundle.name!r} has none of the characters of {uri}: "
            f"{shown(bundle.charset.characters)} against {shown(manifest.characters)}; "
            "evaluate a bundle that was trained for this kind of text"
        )
    return manifest
