"""Weights of a model with another charset or another architecture, carried over where they fit.

Tensors go by name. The output layer goes by character: the row of a character that both
charsets have, and the blank's, are copied to wherever the new charset puts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from crnn.charset import BLANK_ID, Charset
from crnn.model import CRNN

HEAD = ("head.weight", "head.bias")


@dataclass(frozen=True)
class TransferReport:
    """What became of every tensor; printable."""

    kept: list[str]
    """Loaded as they are."""
    resized: list[str]
    """Of the output layer: the rows of shared characters loaded, the others freshly drawn."""
    dropped: list[str]
    """In the source only, or of another shape; not loaded."""
    fresh: list[str]
    """In the model and not loaded: these keep their initialisation."""
    shared_characters: str
    """The characters whose rows of the output layer were carried over."""
    new_characters: str
    """The characters whose rows are fresh."""
    shapes: dict[str, str]
    """Why: the source's shape and the model's, of every tensor resized or dropped."""

    def __str__(self) -> str:
        parts = Counter(name.partition(".")[0] for name in self.kept)
        lines = [f"kept {len(self.kept)} tensors" + "".join(f", {n} {p}" for p, n in parts.items())]
        lines += [f"resized {name}: {self.shapes[name]}" for name in self.resized]
        lines += [f"dropped {name}: {self.shapes[name]}" for name in self.dropped]
        lines += [f"left fresh {name}" for name in self.fresh if name not in self.shapes]
        if self.resized:
            lines.append(f"characters carried over: {self.shared_characters!r} and the blank")
            lines.append(f"characters new: {self.new_characters!r}")
        return "\n".join(lines)


def load_matching(
    model: CRNN, charset: Charset, state: Mapping[str, torch.Tensor], source_charset: Charset
) -> TransferReport:
    """Load into ``model`` whatever of ``state`` fits; the rest of the model stays as it is.

    Args:
        model: changed in place; its output layer belongs to ``charset``.
        state: the state dict of another ``CRNN``, whose output layer belongs to
            ``source_charset``.

    Raises:
        ValueError: when an output layer hasn't one row for each class of its charset.
    """
    own = model.state_dict()
    _check_rows("the model", own, charset)
    _check_rows("the source", state, source_charset)
    rows = _row_pairs(charset, source_charset)
    by_character = charset != source_charset
    kept, resized, dropped = [], [], []
    for name, tensor in state.items():
        target = own.get(name)
        if target is None:
            dropped.append(name)
        elif name in HEAD and by_character and tensor.shape[1:] == target.shape[1:]:
            target[rows[0]] = tensor[rows[1]].to(target)
            resized.append(name)
        elif tensor.shape == target.shape:
            target.copy_(tensor)
            kept.append(name)
        else:
            dropped.append(name)
    model.load_state_dict(own)
    return TransferReport(
        kept=kept,
        resized=resized,
        dropped=dropped,
        fresh=[name for name in own if name not in {*kept, *resized}],
        shared_characters=charset.text(i for i in rows[0] if i != BLANK_ID),
        new_characters="".join(charset.text([i]) for i in _own_ids(charset) if i not in rows[0]),
        shapes={name: _shapes(state[name], own.get(name)) for name in resized + dropped},
    )


def _check_rows(whose: str, state: Mapping[str, torch.Tensor], charset: Charset) -> None:
    for name in HEAD:
        rows = state[name].shape[0] if name in state else None
        if rows != charset.num_classes:
            raise ValueError(
                f"{name} of {whose} has {rows} rows, its charset {charset.num_classes} classes "
                f"({len(charset.characters)} characters and the blank); give the charset it "
                "was trained with"
            )


def _own_ids(charset: Charset) -> list[int]:
    return charset.encode(charset.characters)


def _row_pairs(charset: Charset, source: Charset) -> tuple[list[int], list[int]]:
    """Class ids of the blank and the shared characters, in ``charset`` and in ``source``."""
    shared = [c for c in charset.characters if c in source.characters]
    text = "".join(shared)
    return [BLANK_ID, *charset.encode(text)], [BLANK_ID, *source.encode(text)]


def _shapes(source: torch.Tensor, target: torch.Tensor | None) -> str:
    own = "absent" if target is None else str(tuple(target.shape))
    return f"{tuple(source.shape)} → {own}"
