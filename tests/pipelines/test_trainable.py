"""One judge of labels, and all who ask it: stream, evaluation, inspection."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from crnn.bundle.bundle import Bundle, load_bundle
from crnn.bundle.reading_policy import READ_ONCE
from crnn.model.config import ModelConfig
from crnn.model.feasible import min_time_steps
from crnn.text.charset import Charset
from pipelines.evaluation.plan import Piece
from pipelines.evaluation.reader import PieceReader, ReaderConfig
from pipelines.inspection import InspectConfig
from pipelines.shards import Sample, load_manifest
from pipelines.stream.assemble import Refusal, StreamConfig, inspect_label
from pipelines.trainable import Room, judged
from tests.pipelines.evaluation_cases import CHARSET, CONTRACT, random_bundle, write_set
from tests.pipelines.inspection.planted import PLAIN, noise, total_of

AUTO = InspectConfig().charset
ROOM = Room(4, 40, 24)
HEBREW = Charset("אבג0123 ")


@pytest.mark.parametrize(
    ("charset", "label", "reasons", "needed"),
    [
        (CHARSET, "1234", [], 4),
        (CHARSET, "112", [], 4),
        (CHARSET, "1122", ["too_long_for_width"], 6),
        (CHARSET, "12x", ["unknown_character"], 3),
        (CHARSET, "12 xx", ["unknown_character", "too_long_for_width"], 6),
        (CHARSET, "", ["empty_label"], 0),
        (CHARSET, " \t\n\u00a0", ["empty_label"], 0),
        (Charset("é"), "e\u0301", [], 1),
        (HEBREW, "אב 1", [], 4),
        (HEBREW, "אב 12", ["too_long_for_width"], 5),
        (None, "x\u05d0\u03b1", [], 3),
        (None, "xx\u05d0\u03b1", ["too_long_for_width"], 5),
        (None, "", ["empty_label"], 0),
    ],
)
def test_every_obstacle_is_told_the_first_one_first(
    charset: Charset | None, label: str, reasons: list[str], needed: int
) -> None:
    found = judged(charset, label, ROOM)
    assert [obstacle.reason for obstacle in found.obstacles] == reasons
    assert found.needed == needed
    can_be_encoded = charset is not None and not {"empty_label", "unknown_character"} & {*reasons}
    assert found.target == (tuple(charset.encode(label)) if charset and can_be_encoded else ())
    assert not found.target or min_time_steps(found.target) == needed
    without = [o.reason for o in judged(charset, label).obstacles]
    assert without == [reason for reason in reasons if reason != "too_long_for_width"]


def test_messages_name_characters_steps_and_sizes() -> None:
    lacking, narrow = judged(CHARSET, "1x1é 4", ROOM).obstacles
    assert lacking.message == (
        "has 'x' (U+0078), 'é' (U+00E9), ' ' (U+0020), which the charset lacks"
    )
    assert narrow.message == "needs 6 time steps, a 40x24 px picture has 4"
    (many,) = judged(CHARSET, "abcdefghijklm").obstacles
    assert "'j' (U+006A) and 3 more" in many.message
    assert "'k'" not in many.message


def cases() -> list[Sample]:
    """Labels of every kind, with pictures of every width; ``N`` is the id."""
    rng = random.Random(3)
    labels = ["", " ", "  \u00a0", "12", "1x2", "1" * 9, "7" * 60, "x" * 60, "é", "e\u0301", "1 2"]
    labels += ["".join(rng.choices("0123456789", k=rng.randint(1, 40))) for _ in range(40)]
    labels += ["".join(rng.choices("01x \u05d0", k=rng.randint(1, 12))) for _ in range(40)]
    sizes = [(rng.randint(8, 200), rng.randint(16, 40)) for _ in labels]
    return [
        Sample(
            id=str(number), image=noise(*size, number), text=label, source="noise",
            width=size[0], height=size[1],
        )
        for number, (label, size) in enumerate(zip(labels, sizes, strict=True))
    ]  # fmt: skip


def streamed(bundle: Bundle, rows: list[Sample]) -> dict[str, str]:
    config = StreamConfig(
        sources=(),
        charset=bundle.charset,
        picture=bundle.picture,
        time_steps=tuple((width, bundle.time_steps(width)) for width in bundle.picture.widths),
    )
    found = [
        inspect_label(config, number, row["id"], row["text"], row["width"], row["height"])
        for number, row in enumerate(rows)
    ]
    return {one.id: one.reason for one in found if isinstance(one, Refusal)}


def evaluated(bundle: Bundle, rows: list[Sample], folder: Path) -> dict[str, str]:
    uri = write_set(folder, rows, row_group_rows=len(rows))
    (shard,) = load_manifest(uri).shards
    reader = PieceReader(
        ReaderConfig(
            bundle=bundle, decoder=None, lexicon=None, engine="torch", held_out_share=0,
            use_gpu=False,
        )
    )  # fmt: skip
    piece = Piece(set="s", uri=uri, shard=shard.name, index=0, start=0, stop=len(rows))
    found = reader(piece).predictions.select(["id", "reason"]).to_pylist()
    return {one["id"]: one["reason"] for one in found if one["reason"]}


def inspected(rows: list[Sample], folder: Path, charset: str) -> dict[str, set[str]]:
    """Of what inspection tells, all that is about whether a label can be trained on."""
    config = replace(
        PLAIN,
        charset=charset,
        picture=CONTRACT,
        model=ModelConfig(backbone="mobile"),
        examples=len(rows),
    )
    total = total_of(folder, rows, config)
    found: dict[str, set[str]] = {}
    for code, names in {
        "empty_label": ("empty_label", "whitespace_label"),
        "unknown_character": ("unknown_character",),
        "too_long_for_width": ("too_long_for_width",),
    }.items():
        for example in (e for name in names for e in total.examples(name)):
            found.setdefault(rows[example.refs[0].row]["id"], set()).add(code)
    return found


def test_stream_evaluation_and_inspection_agree(tmp_path: Path) -> None:
    bundle = replace(load_bundle(random_bundle(tmp_path / "bundle")), reading=READ_ONCE)
    rows = cases()
    aside = streamed(bundle, rows)
    assert len(aside) < len(rows) - 10, "some are fit"
    assert set(aside.values()) == {"empty_label", "unknown_character", "too_long_for_width"}
    assert evaluated(bundle, rows, tmp_path / "evaluated") == aside
    told = inspected(rows, tmp_path / "inspected", CHARSET.characters)
    assert told.keys() == aside.keys()
    assert all(aside[one] in told[one] for one in aside)
    every_character = inspected(rows, tmp_path / "auto", AUTO)
    assert every_character == {
        one: reasons - {"unknown_character"}
        for one, reasons in told.items()
        if reasons != {"unknown_character"}
    }
