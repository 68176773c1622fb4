from __future__ import annotations

import base64
import io
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crnn.bundle.calibration import Calibration
from crnn.files import storage
from crnn.text.metrics import Sums
from jobs.evaluate import describe
from pipelines.evaluation import Evaluation, Mistake, OutOfReach, SetInfo
from pipelines.evaluation.tally import ReadingTally
from pipelines.report import HTML_NAME, JSON_NAME, write_report
from pipelines.report.charts import histogram
from pipelines.report.document import document
from pipelines.report.figures import duration, interval, percent
from pipelines.report.gallery import marked
from pipelines.report.markup import Markup, shown_character, tag
from pipelines.report.page import page
from pipelines.report.readings import reading
from pipelines.report.thumbnail import thumbnail

EVIL = '<script>alert("1")</script>&amp;\'"'
VOID = {"meta", "img", "br"}


class Outline(HTMLParser):
    """Every element, attribute and text of a document; fails where tags don't nest."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 20), (200, 30, 30)).save(file, "JPEG")
    return file.getvalue()


def mistake(number: int, label: str = "book", text: str = "bok") -> Mistake:
    return Mistake(
        set=EVIL, id=f"id{number}{EVIL}", label=label, text=text, confidence=0.9, edits=1,
        picture=jpeg(),
    )  # fmt: skip


def evaluation(*, lengths: int = 3) -> Evaluation:
    rng = np.random.default_rng(0)
    confidences = rng.random(200)
    tally = ReadingTally(
        sums={
            (name, length): Sums(
                count=10,
                exact=7,
                alnum_count=10,
                alnum_exact=8,
                letters_count=10,
                letters_exact=8,
                edits=4,
                characters=10 * length,
                similarity=9.0,
            )
            for name in (EVIL, "plain")
            for length in range(1, lengths + 1)
        },
        confusions=Counter({("<", "&"): 9, (" ", ""): 3, ("", "\n"): 2, ("0", "O"): 5}),
        problems=Counter({(EVIL, "undecodable"): 2}),
        examples=[
            OutOfReach(set=EVIL, id="x", label=EVIL, reason="undecodable", message=f"why {EVIL}")
        ],
        confident=[mistake(1, label=EVIL), mistake(2)],
        distant=[mistake(3)],
    )
    return Evaluation(
        bundle_uri=f"/runs/{EVIL}/bundle",
        bundle_name=EVIL,
        bundle_digest="ab" * 32,
        decoder="greedy",
        lexicon_words=0,
        engines=("onnx", "torch"),
        calibration=Calibration(),
        held_out_share=0.0,
        limit=0,
        sets={
            EVIL: SetInfo(uri=f"s3://b/{EVIL}", digest="cd" * 32, prepared_rejects={"dup": 4}),
            "plain": SetInfo(uri="/data/plain", digest="ef" * 32, prepared_rejects={}),
        },
        tally=tally,
        log_probabilities=np.log(confidences),
        confidences=confidences,
        correct=rng.random(200) < confidences,
        started="2020-01-02T03:04:05+00:00",
        seconds=12.5,
    )


def test_page_nests_and_shows_all_text_as_text() -> None:
    outline = Outline(page(evaluation()))
    assert outline.tags["script"] == 0
    assert outline.text.count(EVIL) >= 10
    assert outline.tags["img"] == 3
    assert "U+000A" in outline.text


def test_page_loads_nothing_from_elsewhere() -> None:
    outline = Outline(page(evaluation()))
    assert not {"script", "link", "iframe", "object"} & set(outline.tags)
    sources = [value for _, name, value in outline.attributes if name in ("src", "href", "srcset")]
    assert sources
    for source in sources:
        head, _, data = source.partition(",")
        assert head == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (40, 20)
    assert "url(" not in page(evaluation())
    policies = [v for t, name, v in outline.attributes if t == "meta" and name == "content"]
    assert any("default-src 'none'" in policy for policy in policies)


def test_page_states_the_figures() -> None:
    subject = evaluation()
    text = Outline(page(subject)).text
    assert percent(subject.total.exact_accuracy) == "70.0%"
    for figure in ("70.0%", "80.0%", "20.00%", "undecodable: 2", "ab" * 32, "cd" * 32, "dup"):
        assert figure in text


def test_long_tails_of_lengths_become_one_column() -> None:
    outline = Outline(page(evaluation(lengths=90)))
    assert "20+" in outline.texts
    assert "21" not in [text for text in outline.texts if text == "21+"]


def test_an_evaluation_without_readings_has_a_page() -> None:
    subject = evaluation()
    empty = Evaluation(
        **{
            **vars(subject),
            "tally": ReadingTally(sums={("plain", 0): Sums(count=1)}),
            "confidences": np.empty(0),
            "log_probabilities": np.empty(0),
            "correct": np.empty(0, dtype=bool),
        }
    )
    assert "nothing was misread" in Outline(page(empty)).text
    assert json.dumps(empty.to_dict(), allow_nan=False)
    assert math.isnan(empty.expected_calibration_error)


def test_report_json_has_the_figures(tmp_path: Path) -> None:
    subject = evaluation()
    address = write_report(subject, str(tmp_path))
    assert Path(address) == tmp_path / HTML_NAME
    report = json.loads((tmp_path / JSON_NAME).read_text())
    assert report == json.loads(json.dumps(subject.to_dict()))
    assert report["total"]["exact_accuracy"] == pytest.approx(0.7)
    assert report["sets"]["plain"]["count"] == 30
    assert report["by_length"]["2"]["characters"] == 40
    low, high = report["sets"][EVIL]["exact_interval"]
    assert low < 0.7 < high
    assert report["confusions"][0] == {"expected": "<", "read": "&", "count": 9}


def test_a_report_goes_to_an_object_store(new_bucket: Callable[[], str]) -> None:
    out = storage.join(new_bucket(), "a report")
    address = write_report(evaluation(), out)
    assert storage.read_bytes(address).startswith(b"<!doctype html>")
    names = sorted(storage.base_name(info.uri) for info in storage.list_files(out))
    assert names == [HTML_NAME, JSON_NAME]


@given(st.text(), st.text())
def test_markup_gives_back_text_and_attributes(text: str, attribute: str) -> None:
    outline = Outline(tag("p", text, title=attribute))
    assert dict(outline.tags) == {"p": 1}
    printable = all(ord(c) >= 0x20 and not 0x7F <= ord(c) < 0xA0 for c in text)
    if printable and "\ufffd" not in outline.text:
        assert outline.text == text


def test_only_markup_goes_in_as_it_is() -> None:
    assert tag("b", "<i>", Markup("<i>x</i>")) == "<b>&lt;i&gt;<i>x</i></b>"
    assert tag("svg", viewBox="0 0 1 1", class_="a", text_anchor="end", none=None) == (
        '<svg viewBox="0 0 1 1" class="a" text-anchor="end"></svg>'
    )


def test_marks_show_where_texts_differ() -> None:
    assert marked("book", "bok") == ("bo<mark>o</mark>k", "bok")
    assert marked("0a", "Oa") == ("<mark>0</mark>a", "<mark>O</mark>a")
    assert marked("<", "") == ("<mark>&lt;</mark>", '<i class="soft">nothing</i>')


def test_characters_that_can_not_be_seen_alone_are_named() -> None:
    assert [shown_character(c) for c in " \t\u0301x\u200b"] == [
        "␣", "U+0009", "◌\u0301", "x", "U+200B",
    ]  # fmt: skip


def test_thumbnails_are_small_whatever_they_are_of() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (900, 3000, 3), dtype=np.uint8)
    for image in (
        Image.fromarray(noise),
        Image.fromarray(noise[:, :, 0]),
        Image.new("RGB", (1, 20_000)),
        Image.new("L", (20_000, 1)),
        Image.new("L", (1, 1)),
    ):
        data = thumbnail(image, most_px=(480, 240), most_bytes=20_000)
        small = Image.open(io.BytesIO(data))
        assert small.width <= 480
        assert small.height <= 240
        assert small.mode == image.mode
        assert len(data) <= 20_000


def test_a_readings_tints_are_its_doubts_and_its_spaces_can_be_seen() -> None:
    chars = [{"char": c, "probability": p} for c, p in zip(" a<", (1.0, 0.6, 0.999), strict=True)]
    html = reading(" a<", chars)
    outline = Outline(html)
    assert outline.text == "␣a<"
    assert [v for _, name, v in outline.attributes if name == "style"] == ["--tint:0.30"]
    titles = [v for _, name, v in outline.attributes if name == "title"]
    assert titles == ["␣: 100.0%", "a: 60.0%", "<: 99.9%"]
    assert Outline(reading("ab", chars)).text == "ab"
    assert Outline(reading("", [])).text == "nothing"


def test_what_is_not_nothing_has_a_bar() -> None:
    bars = [
        float(value)
        for t, name, value in Outline(histogram([1_000_000, 0, 1])).attributes
        if (t, name) == ("rect", "height")
    ]
    assert len(bars) == 2
    assert bars[0] > 190
    assert 1 <= bars[1] <= 2


def test_data_of_a_script_can_not_end_it() -> None:
    html = document("x", script="let a;", data={"evil": "</script><script>alert(1)</script><!--"})
    assert html.count("<script") == 2
    assert html.count("</script") == 2
    assert Outline(html).tags["script"] == 2


def test_figures_never_round_up_to_everything() -> None:
    assert percent(1.0) == "100.0%"
    assert percent(0.99999) == "99.9%"
    assert percent(0.99999, 0) == "99%"
    assert percent(math.nan) == "–"
    assert interval((0.5, 0.75)) == "50.0 – 75.0%"
    assert (duration(7.44), duration(185), duration(3725)) == ("7.4 s", "3 min 05 s", "1 h 02 min")


def test_where_no_label_has_0_9_a_z_there_is_a_dash() -> None:
    found = evaluation()
    for key, sums in found.tally.sums.items():
        found.tally.sums[key] = replace(sums, alnum_count=0, alnum_exact=0, letters_exact=2)
    rows = {row.split()[0]: row.split() for row in describe(found).splitlines() if row.strip()}
    assert rows["plain"][-3:-1] == rows["all"][-3:-1] == ["20.00%", "–"]
    html = page(found)
    assert "20.0%" in html
    assert "80.0%" not in html
