"""Weights of a model with another charset or another architecture, carried over where they fit.

Tensors go by name. The output layer goes by character: the row of a character that both
charsets have, and the blank's, are copied to their places in the new charset. A wider network
of the same kind takes a narrow one in whole, and computes at first exactly what that does: new
units take part in nothing old until training lets them (zero-initialised growth, as in Net2Net's
aim, Chen et al. 2016, without its copied units).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from crnn.model.network import CRNN
from crnn.text.charset import BLANK_ID, Charset, shown

HEAD = ("head.weight", "head.bias")


@dataclass(frozen=True)
class TransferReport:
    """What became of every tensor; printable."""

    kept: list[str]
    """Loaded as they are."""
    resized: list[str]
    """Output layer: rows of shared characters are loaded, the others initialized at random."""
    widened: list[str]
    """Wider layers: the source's weights fill a part; the rest has no effect yet."""
    dropped: list[str]
    """In the source only, or of another shape; not loaded."""
    fresh: list[str]
    """In the model and not loaded: these keep their initialisation."""
    shared_characters: str
    """The characters whose rows of the output layer were carried over."""
    new_characters: str
    """The characters whose rows are fresh."""
    lost_characters: str
    """The characters that the source could read and the model can't."""
    shapes: dict[str, str]
    """Why: the source's shape and the model's, of every tensor resized or dropped."""

    def __str__(self) -> str:
        parts = Counter(name.partition(".")[0] for name in self.kept)
        lines = [f"kept {len(self.kept)} tensors" + "".join(f", {n} {p}" for p, n in parts.items())]
        if self.widened:
            lines.append(
                f"widened {len(self.widened)} tensors: the network first reads as it did before"
            )
        lines += [f"resized {name}: {self.shapes[name]}" for name in self.resized]
        lines += [f"dropped {name}: {self.shapes[name]}" for name in self.dropped]
        lines += [f"left fresh {name}" for name in self.fresh if name not in self.shapes]
        if self.resized:
            lines.append(f"characters carried over: {shown(self.shared_characters)} and the blank")
            lines.append(f"characters new: {shown(self.new_characters)}")
        if self.lost_characters:
            lines.append(
                f"characters given up: {len(self.lost_characters):,} that the source could read, "
                f"{shown(self.lost_characters)}; to keep them, name them in the charset too"
            )
        return "\n".join(lines)


def load_matching(
    model: CRNN, charset: Charset, source: CRNN, source_charset: Charset
) -> TransferReport:
    """Load the weights of ``source`` that fit into ``model``; the rest of the model is unchanged.

    Args:
        model: changed in place; its output layer belongs to ``charset``.
        source: another network, whose output layer belongs to ``source_charset``.

    Raises:
        ValueError: when an output layer hasn't one row for each class of its charset.
    """
    own, state = model.state_dict(), source.state_dict()
    _check_rows("the model", own, charset)
    _check_rows("the source", state, source_charset)
    rows = _row_pairs(charset, source_charset)
    by_character, wider = charset.characters != source_charset.characters, _is_wider(model, source)
    fates: dict[str, list[str]] = {"kept": [], "resized": [], "widened": [], "dropped": []}
    for name, tensor in state.items():
        target, fate = own.get(name), "dropped"
        if target is None:
            pass
        elif name in HEAD and by_character:
            shared = target[rows[0]]
            if _load(shared, tensor[rows[1]], wider, _blocks(name, model)):
                target[rows[0]] = shared
                fate = "resized"
        elif _load(target, tensor, wider, _blocks(name, model)):
            fate = "kept" if tensor.shape == target.shape else "widened"
        fates[fate].append(name)
    model.load_state_dict(own)
    loaded = {*fates["kept"], *fates["resized"], *fates["widened"]}
    return TransferReport(
        **fates,
        fresh=[name for name in own if name not in loaded],
        shared_characters=charset.seen(i for i in rows[0] if i != BLANK_ID),
        new_characters=_less(charset.characters, source_charset.characters),
        lost_characters=_less(source_charset.characters, charset.characters),
        shapes={n: _shapes(state[n], own.get(n)) for n in fates["resized"] + fates["dropped"]},
    )


def _is_wider(model: CRNN, source: CRNN) -> bool:
    """Whether ``model`` has the layers of ``source``, with more channels or units in them."""
    wide, narrow = model.config, source.config
    same_kind = all(
        getattr(wide, name) == getattr(narrow, name) for name in ("backbone", "rnn", "rnn_layers")
    ) and all(
        getattr(model, name) == getattr(source, name) for name in ("in_channels", "input_height")
    )
    widths = [(m.width_multiplier, m.rnn_hidden) for m in (wide, narrow)]
    return (
        same_kind and widths[0] != widths[1] and all(w >= n for w, n in zip(*widths, strict=True))
    )


def _blocks(name: str, model: CRNN) -> tuple[int, int]:
    """Into how many parts of their own the rows and the columns of a tensor fall.

    Rows of a recurrent layer go gate by gate; columns of what comes after one are those of its
    two directions.
    """
    if name.startswith("rnn.layers."):
        return {"lstm": 4, "gru": 3}[model.config.rnn], 1
    after_rnn = name == "head.weight" or name.startswith("rnn.between.")
    return 1, 2 if after_rnn else 1


def _load(target: torch.Tensor, tensor: torch.Tensor, wider: bool, blocks: tuple[int, int]) -> bool:
    """Whether ``tensor`` was loaded: it has the shape of ``target``, or may become a part of it."""
    if tensor.shape == target.shape:
        target.copy_(tensor)
    elif wider:
        _embed(*(_in_blocks(one, *blocks) for one in (target, tensor.to(target))))
    return wider or tensor.shape == target.shape


def _embed(wide: torch.Tensor, narrow: torch.Tensor) -> None:
    """``narrow`` at the begin of each block of ``wide``; its outputs take nothing of new inputs."""
    outputs = wide[:, : narrow.shape[1]]
    if wide.dim() == 2:
        outputs.copy_(narrow)
        return
    outputs.zero_()
    outputs[:, :, :, : narrow.shape[3]] = narrow


def _in_blocks(tensor: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """A view: row block, row, and of what has columns column block, column, and the rest."""
    count, *rest = tensor.shape
    if not rest:
        return tensor.view(rows, count // rows)
    return tensor.view(rows, count // rows, columns, rest[0] // columns, *rest[1:])


def _check_rows(whose: str, state: Mapping[str, torch.Tensor], charset: Charset) -> None:
    for name in HEAD:
        rows = state[name].shape[0] if name in state else None
        if rows != charset.num_classes:
            raise ValueError(
                f"{name} of {whose} has {rows} rows, its charset {charset.num_classes} classes "
                f"({len(charset.characters)} characters and the blank); give the charset it "
                "was trained with"
            )


def _less(characters: str, others: str) -> str:
    taken = set(others)
    return "".join(c for c in characters if c not in taken)


def _row_pairs(charset: Charset, source: Charset) -> tuple[list[int], list[int]]:
    """Class ids of the blank and the shared characters, in ``charset`` and in ``source``."""
    theirs = set(source.characters)
    shared = [c for c in charset.characters if c in theirs]
    return [BLANK_ID, *charset.ids_of(shared)], [BLANK_ID, *source.ids_of(shared)]


def _shapes(source: torch.Tensor, target: torch.Tensor | None) -> str:
    own = "absent" if target is None else str(tuple(target.shape))
    return f"{tuple(source.shape)} → {own}"
