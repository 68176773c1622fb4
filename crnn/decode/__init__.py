"""From log-probabilities to texts: decoders by name, all of one shape.

``build_decoder("beam")(log_probs_TNC, charset)`` gives a ``Decoded`` for each of N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from crnn.brief import brief
from crnn.bundle.fusion_config import FusionConfig
from crnn.decode.beam import BeamConfig, beam
from crnn.decode.decoded import Decoded, DecodedColumns
from crnn.decode.fusion import Fusion
from crnn.decode.greedy import greedy
from crnn.decode.language import LanguageModel
from crnn.decode.lexicon import LexiconDecoder
from crnn.decode.ngram import CharNgram
from crnn.text.charset import Charset

__all__ = [
    "DECODERS",
    "BeamConfig",
    "CharNgram",
    "Decoded",
    "DecodedColumns",
    "Decoder",
    "DecoderOptions",
    "Fusion",
    "FusionConfig",
    "LanguageModel",
    "LexiconDecoder",
    "beam",
    "build_decoder",
    "check_lexicon",
    "greedy",
]

Decoder = Callable[[Tensor, Charset], Sequence[Decoded]]
"""``(log_probs_TNC float32 on the CPU, charset) → one Decoded for each of N``."""


@dataclass(frozen=True, kw_only=True)
class DecoderOptions:
    """What a decoder may be given; one that has no use for an option refuses it."""

    lexicon: Sequence[str] | None = None
    """The words to choose from."""
    ngram: CharNgram | None = None
    """A character language model for the beam."""
    beam: BeamConfig = field(default_factory=BeamConfig)
    """Width, pruning and weights of the beam."""
    fusion: Fusion | None = None
    """The bundle's language model, for the decoder of that name; the others pass it over."""


def _build_greedy(options: DecoderOptions) -> Decoder:
    _refuse("greedy", lexicon=options.lexicon, ngram=options.ngram)
    return greedy


def _build_beam(options: DecoderOptions) -> Decoder:
    _refuse("beam", lexicon=options.lexicon)
    if options.ngram is not None and not isinstance(options.ngram, CharNgram):
        raise ValueError(
            f"ngram is {brief(options.ngram)}; expected a CharNgram, as CharNgram.load(path) reads "
            "it from a file"
        )
    return partial(beam, config=options.beam, ngram=options.ngram)


def _build_lexicon(options: DecoderOptions) -> Decoder:
    _refuse("lexicon", ngram=options.ngram)
    check_lexicon("lexicon", options.lexicon)
    assert options.lexicon is not None
    return LexiconDecoder(options.lexicon)


def _build_fusion(options: DecoderOptions) -> Decoder:
    _refuse("fusion", lexicon=options.lexicon, ngram=options.ngram)
    if options.fusion is None:
        raise ValueError(
            "decoder 'fusion' needs a bundle with a language model; add one with crnn language, or "
            "use 'greedy'"
        )
    return options.fusion


DECODERS: dict[str, Callable[[DecoderOptions], Decoder]] = {
    "greedy": _build_greedy,
    "beam": _build_beam,
    "fusion": _build_fusion,
    "lexicon": _build_lexicon,
}


def build_decoder(
    name: str,
    *,
    lexicon: Sequence[str] | None = None,
    ngram: CharNgram | None = None,
    beam_width: int = 10,
    fusion: Fusion | None = None,
) -> Decoder:
    """The decoder ``name``: ``greedy``, ``beam`` (which may take an n-gram), ``fusion`` (which is
    ``fusion`` itself) or ``lexicon``.

    Raises:
        ValueError: for an unknown name, a missing lexicon, or an option that this decoder would
            have to ignore.
    """
    if name not in DECODERS:
        raise ValueError(f"decoder is {name!r}; expected one of {sorted(DECODERS)}")
    beam_config = BeamConfig(beam_width=beam_width)
    options = DecoderOptions(lexicon=lexicon, ngram=ngram, beam=beam_config, fusion=fusion)
    return DECODERS[name](options)


def check_lexicon(decoder: str | None, lexicon: object | None) -> None:
    """Raise ValueError unless they go together; None: no decoder is named, there is no lexicon."""
    if decoder == "lexicon" and lexicon is None:
        raise ValueError("decoder 'lexicon' needs a lexicon: the list of words to choose from")
    if decoder not in (None, "lexicon"):
        _refuse(decoder, lexicon=lexicon)


def _refuse(name: str, **options: object) -> None:
    for option, value in options.items():
        if value is not None:
            user = {"lexicon": "lexicon", "ngram": "beam"}[option]
            raise ValueError(f"decoder {name!r} takes no {option}; use decoder {user!r} for it")
