"""A line's words have their own places, and what is written of them is valid hOCR and ALTO."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from lxml import etree

from crnn.result import CharResult
from pipelines.documents.alto import write_alto
from pipelines.documents.hocr import write_hocr
from pipelines.documents.page import Document
from pipelines.documents.rows import document_of
from pipelines.documents.words import words_of
from pipelines.sources import open_source
from tests.pipelines.conftest import encoded
from tests.pipelines.sources.made import files
from tests.pipelines.test_documents import XHTML, document, row, text_of

BOX = (10.0, 20.0, 110.0, 20.0, 110.0, 40.0, 10.0, 40.0)
SCHEMA = Path(__file__).parent / "alto_4_4.xsd"
HEBREW = "\u05e9\u05dc\u05d5\u05dd 12"


def chars(text: str, width: float, probability: float = 0.9) -> list[CharResult]:
    """Each as wide as the others, from the left."""
    return [
        CharResult(char, probability, place * width, (place + 1) * width)
        for place, char in enumerate(text)
    ]


def listed(found: list[CharResult]) -> list[dict]:
    return [char._asdict() for char in found]


def test_words_lie_where_their_characters_are() -> None:
    first, second = words_of("ab c", 0.5, BOX, chars("ab c", 10), turned=0)
    assert (first.text, second.text) == ("ab", "c")
    assert first.region == (10, 20, 30, 20, 30, 40, 10, 40)
    assert second.region == (40, 20, 50, 20, 50, 40, 40, 40)
    assert first.confidence == pytest.approx(0.81)
    assert second.confidence == pytest.approx(0.9)


@pytest.mark.parametrize("found", [[], chars("abc", 10)])  # of none, of another text
def test_without_characters_all_are_as_wide(found: list[CharResult]) -> None:
    words = words_of("ab  c ", 0.5, BOX, found, turned=0)
    assert [word.text for word in words] == ["ab", "c"]
    assert words[0].region[2] == pytest.approx(10 + 100 * 2 / 6)
    assert (words[1].region[0], words[1].region[2]) == pytest.approx(
        (10 + 100 * 4 / 6, 10 + 100 * 5 / 6)
    )
    assert {word.confidence for word in words} == {0.5}


def test_from_right_to_left() -> None:
    word, number = words_of(HEBREW, 0.5, BOX, [], turned=0)
    assert (number.region[0], word.region[2]) == (10, 110)
    assert number.region[2] < word.region[0]
    spans = [(80, 90), (70, 80), (60, 70), (50, 60), (40, 50), (0, 10), (10, 20)]
    found = [CharResult(c, 1.0, *span) for c, span in zip(HEBREW, spans, strict=True)]
    word, number = words_of(HEBREW, 0.5, BOX, found, turned=0)
    assert (word.region[0], word.region[2]) == (60, 100)
    assert (number.region[0], number.region[2]) == (10, 30)


@pytest.mark.parametrize(("turned", "first"), [(90, (80, 100)), (270, (20, 40))])
def test_a_line_that_runs_up_or_down(turned: int, first: tuple[float, float]) -> None:
    upright = (10.0, 20.0, 30.0, 20.0, 30.0, 100.0, 10.0, 100.0)
    word, other = words_of("ab cd", 0.5, upright, chars("ab cd", 10), turned=turned)
    rows = word.region[1::2]
    assert (min(rows), max(rows)) == first
    assert (min(word.region[0::2]), max(word.region[0::2])) == (10, 30)
    assert (other.region[1] - word.region[1]) == (-30 if turned == 90 else 30)


def test_a_tilted_line() -> None:
    tilted = (0.0, 0.0, 80.0, 60.0, 68.0, 76.0, -12.0, 16.0)
    _, second = words_of("ab cd", 0.5, tilted, chars("ab cd", 20), turned=0)
    assert second.region == pytest.approx((48, 36, 80, 60, 68, 76, 36, 52))


def pages() -> Document:
    """Lines with and without characters, tilted, from the right, with what XML can't hold."""
    whole = [10.0, 40.0, 210.0, 40.0, 210.0, 70.0, 10.0, 70.0]
    tilted = [-3.0, 2.0, 50.0, -1.0, 52.0, 20.0, -1.0, 24.0]
    return document_of(
        "/in/a b.png",
        [
            row("", 1, 1, "one two", chars=listed(chars("one two", 20)), region=whole),
            row("", 1, 2, HEBREW),
            row("", 1, 3, 'a < "b" \u0007', region=tilted, confidence=1.0),
            row("", 1, 4, " "),
            row("", 2, None, ""),
            row("", 3, 1, "last", confidence=0.0),
        ],
    )


# ---------------------------------------------------------------- ALTO


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(SCHEMA)))


@pytest.mark.parametrize(
    "found", [pages(), document(), document_of("/a.png", [row("", 1, 1, "a")])]
)
def test_alto_is_valid(schema: etree.XMLSchema, found: Document) -> None:
    schema.assertValid(etree.fromstring(text_of(write_alto, found).encode()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('ID="string_1_1_1"', 'ID="line_1_1"'),
        ('WC="0.7500"', 'WC="75"'),
        ("<SP/>", "<SP/><SP/>"),
        ('PHYSICAL_IMG_NR="1"', ""),
        ("pixel", "px"),
        ('HPOS="10"', 'HPOS="-1"'),
        ("<Shape>", "<Shape/><Shape>"),
        (' CONTENT="one"', ""),
    ],
)
def test_the_check_of_alto_finds_faults(schema: etree.XMLSchema, old: str, new: str) -> None:
    text = text_of(write_alto, pages())
    assert old in text
    assert not schema.validate(etree.fromstring(text.replace(old, new).encode()))


def test_alto_has_a_string_for_each_word() -> None:
    root = etree.fromstring(text_of(write_alto, pages()).encode())
    lines = root.findall(".//{*}TextLine")
    texts = [[one.get("CONTENT") for one in line.findall("{*}String")] for line in lines]
    assert texts == [["one", "two"], HEBREW.split(), ["a", "<", '"b"', "\ufffd"], [" "], ["last"]]
    assert [len(line.findall("{*}SP")) for line in lines] == [1, 1, 3, 0, 0]
    one, two = lines[0].findall("{*}String")
    assert (one.get("HPOS"), one.get("WIDTH")) == ("10", "60")
    assert (two.get("HPOS"), two.get("WIDTH")) == ("90", "60")
    assert one.get("WC") == "0.7290"


def test_alto_of_a_page_is_a_source_of_training_with_the_same_texts(tmp_path: Path) -> None:
    scan = encoded("scan", size=(220, 240), format="PNG")
    region = [10.0, 90.0, 190.0, 90.0, 190.0, 110.0, 10.0, 110.0]
    rows = [
        row("", 1, 1, "one two", chars=listed(chars("one two", 20))),
        row("", 1, 2, 'a < "b"', region=region),
        row("", 1, 3, HEBREW),
    ]
    found = document_of("s3://bucket/in/page 1.png", rows)
    (page,) = found.pages
    written = {"page 1.png": scan, "texts/page-1.alto.xml": text_of(write_alto, found)}
    source = open_source(str(files(tmp_path, written)))
    items = list(source.items())
    assert [item.text for item in items] == [line.text for line in page.lines]
    assert [item.region for item in items] == [line.region for line in page.lines]
    assert {item.group for item in items} == {"page 1.png"}
    assert all(isinstance(data, bytes) for data in source.read(items))


# ---------------------------------------------------------------- hOCR

_PROPERTIES = {
    "bbox": re.compile(r"bbox (\d+) (\d+) (\d+) (\d+)"),
    "image": re.compile(r'image "[^"]*"'),
    "ppageno": re.compile(r"ppageno \d+"),
    "x_wconf": re.compile(r"x_wconf (100|\d\d?)"),
}
_WITHIN = {"ocr_page": "", "ocr_line": "ocr_page", "ocrx_word": "ocr_line"}
_WANTED = {"ocr_page": {"bbox", "image", "ppageno"}, "ocr_line": {"bbox"}, "ocrx_word": {"bbox"}}


def faults_of_hocr(root: ElementTree.Element) -> list[str]:
    """Whatever hOCR 1.2 wouldn't have."""
    faults = []
    meta = {one.get("name"): one.get("content", "") for one in root.iter(f"{XHTML}meta")}
    known = set(meta.get("ocr-capabilities", "").split())
    if not meta.get("ocr-system"):
        faults.append("no ocr-system")
    parents = {child: parent for parent in root.iter() for child in parent}
    ids = [one.get("id") for one in root.iter() if one.get("id")]
    faults += [f"{id} twice" for id in {*ids} if ids.count(id) > 1]
    for one in root.iter():
        kind = one.get("class", "")
        if not kind:
            continue
        if kind not in known:
            faults.append(f"{kind} isn't among the capabilities")
        above = parents[one]
        if above.get("class", "") != _WITHIN[kind]:
            faults.append(f"{kind} in {above.get('class')}")
        said = one.get("title", "").split("; ")
        names = [text.partition(" ")[0] for text in said]
        if not _WANTED[kind] <= set(names) or len(set(names)) < len(names):
            faults.append(f"{kind} has {names}")
        faults += [
            f"{text!r}" for name, text in zip(names, said, strict=True)
            if name not in _PROPERTIES or not _PROPERTIES[name].fullmatch(text)
        ]  # fmt: skip
        if kind != "ocr_page" and not _is_within(_box(one), _box(above)):
            faults.append(f"{kind} {_box(one)} juts out of {_box(above)}")
    return faults


def _box(one: ElementTree.Element) -> list[int]:
    match = _PROPERTIES["bbox"].search(one.get("title", ""))
    return [int(value) for value in match.groups()] if match else [0, 0, 0, 0]


def _is_within(inner: list[int], outer: list[int]) -> bool:
    return (
        outer[0] <= inner[0] <= inner[2] <= outer[2]
        and outer[1] <= inner[1] <= inner[3] <= outer[3]
    )


@pytest.mark.parametrize("found", [pages(), document()])
def test_hocr_is_valid(found: Document) -> None:
    assert faults_of_hocr(ElementTree.fromstring(text_of(write_hocr, found).encode())) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" ocrx_word", ""),
        ('id="word_1_1_1"', 'id="line_1_1"'),
        ("x_wconf 75", "x_wconf 101"),
        ('class="ocrx_word"', 'class="ocr_line"'),
        ("bbox 10 40", "bbox -1 40"),
        ("ppageno 0", "page 0"),
    ],
)
def test_the_check_of_hocr_finds_faults(old: str, new: str) -> None:
    text = text_of(write_hocr, pages())
    assert old in text
    assert faults_of_hocr(ElementTree.fromstring(text.replace(old, new, 1).encode()))


def test_hocr_has_the_places_of_words() -> None:
    root = ElementTree.fromstring(text_of(write_hocr, pages()).encode())
    line = root.find(f".//{XHTML}span[@class='ocr_line']")
    assert line is not None
    assert "".join(line.itertext()) == "one two"
    words = line.findall(f"{XHTML}span[@class='ocrx_word']")
    assert [word.get("title") for word in words] == [
        "bbox 10 40 70 70; x_wconf 73",
        "bbox 90 40 150 70; x_wconf 73",
    ]
