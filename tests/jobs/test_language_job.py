"""A bundle is given a language model by the job, reads with it, and loses it again."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import pytest

from crnn import load_bundle
from crnn.decode import LanguageModel
from jobs import language
from jobs.language import LanguageSettings, drawn
from tests.jobs.runs import PROJECT, refused, within

STRINGS = PROJECT / "bundles" / "strings"


def test_texts_of_a_file_become_the_bundles_language_model(tmp_path: Path) -> None:
    shutil.copytree(STRINGS, tmp_path / "b")
    before = load_bundle(tmp_path / "b")
    (tmp_path / "texts.txt").write_text(
        "\ufeffINV-2024\r\nINV-2025\n\nINV-2026\n", encoding="utf-8"
    )
    given = ("b", "--texts", "texts.txt", "--use.weight", "0.3", "--order", "4", "--prune", "0")
    done = within(language.main, *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = load_bundle(tmp_path / "b")
    assert after.digest in done.stdout and "crnn calibrate --bundle b" in done.stdout
    assert after.fusion is not None and after.fusion.config.weight == 0.3
    assert after.onnx == before.onnx and after.weights_sha256 == before.weights_sha256
    model = after.fusion.language
    assert model.log_probability("INV-2025") > model.log_probability("VIN-2025") + 3
    done = within(language.main, "b", "--remove", cwd=tmp_path)
    assert done.returncode == 0 and before.digest in done.stdout
    assert load_bundle(tmp_path / "b").fusion is None


def test_by_default_it_knows_words_and_numbers_in_the_bundles_characters() -> None:
    charset = load_bundle(STRINGS).charset
    texts = list(drawn(LanguageSettings(bundle="b", count=4000), charset))
    assert len(texts) == 4000 and not {c for text in texts for c in text} - set(charset.characters)
    model = LanguageModel.fit(texts, characters=charset.characters)
    assert model.log_probability("THE") > model.log_probability("HTE") + math.log(10)


def test_texts_of_the_callers_patterns_are_drawn_as_often_as_asked(tmp_path: Path) -> None:
    charset = load_bundle(STRINGS).charset
    (tmp_path / "codes.txt").write_text("QX-\\d{4}\t3\nZZ\\d\n")
    settings = LanguageSettings(
        bundle="b", count=4000, patterns=str(tmp_path / "codes.txt"), patterns_share=0.4
    )
    texts = list(drawn(settings, charset))
    codes = sum(bool(re.fullmatch(r"QX-\d{4}", text)) for text in texts)
    assert len(texts) == 4000 and 0.25 < codes / 4000 < 0.35
    assert 0.07 < sum(bool(re.fullmatch(r"ZZ\d", text)) for text in texts) / 4000 < 0.13
    model = LanguageModel.fit(texts, characters=charset.characters)
    assert model.log_probability("QX-2024") > model.log_probability("OX-2024") + 3


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--words", "w", "--texts", "t"), 2, "expected one of them"),
        (("--texts", "missing.txt"), 1, "missing.txt"),
        (("--texts", "t.txt", "--patterns", "t.txt"), 2, "expected one of them"),
        (("--patterns", "missing.txt"), 1, "missing.txt"),
        (("--patterns", "t.txt", "--patterns-share", "1"), 2, "above 0 and below 1"),
        (("--texts", "empty.txt"), 2, "no texts"),
        (("--texts", "t.txt", "--order", "9"), 2, "order is 9"),
        (("--texts", "t.txt", "--use.below", "2"), 2, "below is 2.0"),
    ],
)
def test_what_makes_no_language_model_leaves_the_bundle_alone(
    arguments: tuple[str, ...], status: int, words: str, tmp_path: Path
) -> None:
    shutil.copytree(STRINGS, tmp_path / "b")
    (tmp_path / "t.txt").write_text("a\n")
    (tmp_path / "empty.txt").write_text("\n")
    before = (tmp_path / "b" / "bundle.json").read_bytes()
    refused(within(language.main, "b", *arguments, cwd=tmp_path), status, words)
    assert (tmp_path / "b" / "bundle.json").read_bytes() == before
