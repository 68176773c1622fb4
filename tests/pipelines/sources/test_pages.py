"""Whole pages with ALTO or PAGE XML beside them: lines cut out, and why some can't be."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from crnn.errors import DataError, PictureError
from crnn.files import storage
from crnn.images.contract import decode_picture
from pipelines.sources import open_source
from pipelines.sources.page_xml import MAX_XML_BYTES
from tests.pipelines.conftest import encoded
from tests.pipelines.sources.made import files, items_of, put, rows

SIZE = (120, 60)
SCAN = encoded("scan", size=SIZE, format="PNG")
NS4 = "http://www.loc.gov/standards/alto/ns-v4#"
PAGE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
BOX = 'HPOS="10" VPOS="5" WIDTH="50" HEIGHT="20"'
WORD = f'<TextLine ID="l1" {BOX}><String CONTENT="word"/></TextLine>'


def alto(lines: str, *, ns: str = NS4, unit: str = "pixel", name: str = "", size: str = "") -> str:
    source = f"<sourceImageInformation><fileName>{name}</fileName></sourceImageInformation>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><alto xmlns="{ns}"><Description>'
        f"<MeasurementUnit>{unit}</MeasurementUnit>{source if name else ''}</Description><Layout>"
        f'<Page ID="p" PHYSICAL_IMG_NR="1" {size}><PrintSpace><TextBlock ID="b">{lines}'
        "</TextBlock></PrintSpace></Page></Layout></alto>"
    )


def page_xml(lines: str, *, ns: str = PAGE, name: str = "x.png", size: str = "120x60") -> str:
    width, height = size.split("x")
    return (
        f'<PcGts xmlns="{ns}"><Metadata/><Page imageFilename="{name}" imageWidth="{width}" '
        f'imageHeight="{height}"><TextRegion id="r">{lines}</TextRegion></Page></PcGts>'
    )


def page_line(text: str, points: str, id: str = "l1", more: str = "") -> str:
    said = f"<TextEquiv><Unicode>{text}</Unicode></TextEquiv>" if text else ""
    return f'<TextLine id="{id}"><Coords points="{points}"/>{more}{said}</TextLine>'


def one(folder: Path, contents: Mapping[str, bytes | str]) -> tuple[str, str, str]:
    """The only line of these files."""
    (found,) = rows(files(folder, contents))
    return found


@pytest.mark.parametrize("place", ["here", "store"])
def test_alto_and_page_files_side_by_side(
    tmp_path: Path, new_bucket: Callable[[], str], place: str
) -> None:
    contents: dict[str, bytes | str] = {
        "a.png": SCAN,
        "a.xml": alto(WORD, name="a.png"),
        "b/scan 1.png": SCAN,
        "b/page/scan 1.xml": page_xml(
            page_line("École é", "10,5 60,5 60,25 10,25") + page_line("", "0,0 9,0 9,9", "l2"),
            name="scan 1.png",
        ),
        "b/page/METS.xml": "<mets/>",
    }
    folder = put(tmp_path if place == "here" else storage.join(new_bucket(), "a set"), contents)
    source = open_source(folder)
    assert source.format == "pages"
    found = list(source.items())
    assert [(item.id, item.text, item.group, item.reason) for item in found] == [
        ("a.png#l1", "word", "a.png", ""),
        ("b/page/METS.xml", "", "", "unknown_format"),
        ("b/scan 1.png#l1", "École é", "b/scan 1.png", ""),
        ("b/scan 1.png#l2", "", "b/scan 1.png", "no_label"),
    ]
    wanted = decode_picture(SCAN).crop((10, 5, 60, 25)).tobytes()
    for data in source.read([item for item in found if item.text]):
        assert isinstance(data, bytes)
        assert decode_picture(data).tobytes() == wanted


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ('<String CONTENT="a"/><SP/><String CONTENT="b"/><String CONTENT="."/>', "a b."),
        ('<String CONTENT="a"/><String CONTENT="b"/>', "a b"),
        (
            '<String CONTENT="Haupt" SUBS_TYPE="HypPart1" SUBS_CONTENT="Hauptstadt"/>'
            '<HYP CONTENT="&#xAD;"/>',
            "Haupt-",
        ),
        ('<String CONTENT="stadt" SUBS_TYPE="HypPart2" SUBS_CONTENT="Hauptstadt"/>', "stadt"),
        ('<String CONTENT="weg"/><SP/><HYP CONTENT="="/>', "weg ="),
        ('<String CONTENT="a &lt; b"><Glyph CONTENT="z"/></String>', "a < b"),
    ],
)
def test_texts_of_alto_are_as_they_stand_on_the_line(tmp_path: Path, xml: str, text: str) -> None:
    line = f'<TextLine ID="l1" {BOX}>{xml}</TextLine>'
    assert one(tmp_path, {"x.png": SCAN, "x.xml": alto(line)}) == ("x.png#l1", text, "")


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        (
            '<TextEquiv index="1"><Unicode>second</Unicode></TextEquiv>'
            '<TextEquiv index="0"><Unicode> first\n</Unicode></TextEquiv>',
            "first",
        ),
        (
            '<Word id="w1"><TextEquiv><Unicode>two</Unicode></TextEquiv></Word>'
            '<Word id="w2"><TextEquiv><Unicode>words</Unicode></TextEquiv></Word>',
            "two words",
        ),
    ],
)
def test_texts_of_page_xml(tmp_path: Path, xml: str, text: str) -> None:
    line = f'<TextLine id="l1"><Coords points="1,1 9,1 9,9 1,9"/>{xml}</TextLine>'
    assert one(tmp_path, {"x.png": SCAN, "x.xml": page_xml(line)})[1] == text


@pytest.mark.parametrize(
    "ns",
    [
        *(f"http://www.loc.gov/standards/alto/ns-v{version}#" for version in (2, 3, 4)),
        PAGE,
        PAGE.replace("2019-07-15", "2013-07-15"),
    ],
)
def test_versions(tmp_path: Path, ns: str) -> None:
    is_page = "PAGE" in ns
    text = page_xml(page_line("word", "1,1 9,1 9,9"), ns=ns) if is_page else alto(WORD, ns=ns)
    assert one(tmp_path, {"x.png": SCAN, "x.xml": text})[1:] == ("word", "")


# ---------------------------------------------------------------- places


def test_an_outline_becomes_a_rectangle_along_the_baseline(tmp_path: Path) -> None:
    outline = "30,20 30,30 90,30 90,12 60,10 30,14"  # from somewhere, anticlockwise
    level = page_line("level", outline, more='<Baseline points="30,28 60,28 90,28"/>')
    falling = page_line(
        "falling", "50 0 60 0 60 40 55 41 50 40", "l2", '<Baseline points="51,0 51,40"/>'
    )
    backwards = page_line("back", outline, "l3", '<Baseline points="90,28 30,28"/>')
    short = page_line("i", outline, "l4", '<Baseline points="30,28 31,34"/>')
    files(tmp_path, {"x.png": SCAN, "x.xml": page_xml(level + falling + backwards + short)})
    first, down, back, letter = (item.region for item in items_of(tmp_path))
    upright = (30, 10, 90, 10, 90, 30, 30, 30)
    assert first == back == letter == upright
    assert down == pytest.approx((60, 0, 60, 41, 50, 41, 50, 0))  # its top side goes down


def test_an_outline_without_a_baseline(tmp_path: Path) -> None:
    tilted = page_line("tilted", "10,10 90,30 88,38 50,29 8,18")
    letter = page_line("x", "10,20 15,10 20,20 15,24 11,23", "l2")
    quad = page_line("quad", "90,32 10,30 10,10 90,12", "l3")
    files(tmp_path, {"x.png": SCAN, "x.xml": page_xml(tilted + letter + quad)})
    first, second, third = (item.region for item in items_of(tmp_path))
    assert first is not None
    assert second == (10, 10, 20, 10, 20, 24, 10, 24)
    assert third == (10, 10, 90, 12, 90, 32, 10, 30)
    rise = (first[3] - first[1]) / (first[2] - first[0])
    assert rise == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("place", "region"),
    [
        (f'{BOX}><Shape><Polygon POINTS="1 2 3 2 3 8 1 8"/></Shape', (1, 2, 3, 2, 3, 8, 1, 8)),
        (f'{BOX}><Shape><Polygon POINTS="1,2 3,2 3,8 1,8"/></Shape', (1, 2, 3, 2, 3, 8, 1, 8)),
        (f'{BOX}><Shape><Polygon POINTS="1 2"/></Shape', (10, 5, 60, 5, 60, 25, 10, 25)),
        (f'{BOX} BASELINE="24"', (10, 5, 60, 5, 60, 25, 10, 25)),
    ],
)
def test_places_of_alto(tmp_path: Path, place: str, region: tuple[float, ...]) -> None:
    line = f'<TextLine ID="l1" {place}><String CONTENT="a"/></TextLine>'
    files(tmp_path, {"x.png": SCAN, "x.xml": alto(line)})
    (item,) = items_of(tmp_path)
    assert item.region == region


def scan(dpi: tuple[float, float] | None = None, orientation: int = 1) -> bytes:
    image, buffer = Image.new("L", SIZE, 200), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(buffer, "JPEG", exif=exif, **({"dpi": dpi} if dpi else {}))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("unit", "size", "dpi", "scale"),
    [
        ("pixel", "", None, 1.0),
        ("pixel", 'WIDTH="121" HEIGHT="60"', None, 1.0),
        ("pixel", 'WIDTH="240" HEIGHT="120"', None, 0.5),  # labelled at twice the size
        ("mm10", 'WIDTH="1200" HEIGHT="600"', (72, 72), 0.1),
        ("mm10", "", (508, 508), 2.0),
        ("inch1200", 'WIDTH="0" HEIGHT="0"', (600, 600), 0.5),
        ("inch1200", 'WIDTH="100" HEIGHT="100"', (600, 600), 0.5),
    ],
)
def test_units(
    tmp_path: Path, unit: str, size: str, dpi: tuple[float, float] | None, scale: float
) -> None:
    files(tmp_path, {"x.jpg": scan(dpi), "x.xml": alto(WORD, unit=unit, size=size)})
    (item,) = items_of(tmp_path)
    assert not item.reason
    expected = [value * scale for value in (10, 5, 60, 5, 60, 25, 10, 25)]
    assert item.region == pytest.approx(expected, abs=1e-3)


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize(
    ("xml", "named", "picture"),
    [
        ("x.xml", "other.png", "other.png"),
        ("x.xml", "C:\\scans\\other.png", "other.png"),
        ("x.xml", "/srv/scans/other.png", "other.png"),
        ("x.xml", "img\\other.png", "img/other.png"),
        ("page/x.xml", "../img/other.png", "img/other.png"),
        ("page/x.xml", "other.png", "img/other.png"),
        ("x.xml", "other.tif", "other.png"),
        ("x.xml", "", "x.png"),
        ("x.alto.xml", "", "x.png"),
        ("x.png.xml", "", "x.png"),
        ("x.xml", "gone.png", "x.png"),
        ("x.xml", "../../../etc/x.png", "x.png"),
        ("x.xml", "scan.pdf", "x.png"),
    ],
)
def test_the_picture_of_a_page(tmp_path: Path, xml: str, named: str, picture: str) -> None:
    found = one(tmp_path / "set", {picture: SCAN, xml: alto(WORD, name=named)})
    assert found == (f"{picture}#l1", "word", "")


def test_names_with_marks_of_patterns(tmp_path: Path) -> None:
    name = "scan [1]*? ü.png"
    contents = {name: SCAN, "scan 1xy ü.png": b"x", "x.xml": alto(WORD, name=name)}
    assert one(tmp_path, contents) == (f"{name}#l1", "word", "")


def test_the_named_picture_comes_before_one_of_the_same_name(tmp_path: Path) -> None:
    contents = {"x.png": b"", "a/y.png": SCAN, "x.xml": alto(WORD, name="y.png")}
    assert one(tmp_path, contents)[0] == "a/y.png#l1"


# ---------------------------------------------------------------- rejects

BOMB = (
    '<!DOCTYPE alto [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    + "".join(
        f'<!ENTITY {name} "{"&" + before + ";" * 1}{("&" + before + ";") * 9}">'
        for before, name in zip("bcdefgh", "cdefghi", strict=True)
    )
    + "]>"
)


def with_doctype(doctype: str, content: str = "word") -> str:
    xml = alto(WORD.replace("word", content))
    return xml.replace("?><alto", f"?>{doctype}<alto", 1)


@pytest.mark.parametrize(
    ("xml", "reason", "words"),
    [
        (alto(WORD)[:-40], "damaged_file", "not readable as XML"),
        (with_doctype(BOMB, "&i;"), "damaged_file", "document type"),
        (
            with_doctype('<!DOCTYPE alto [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;"),
            "damaged_file",
            "document type",
        ),
        (
            with_doctype('<!DOCTYPE alto SYSTEM "http://127.0.0.1:1/a.dtd">'),
            "damaged_file",
            "document type",
        ),
        (alto(WORD) + " " * MAX_XML_BYTES, "too_large", "16777216"),
        ("<a>" * 300 + "</a>" * 300 + "<alto >", "damaged_file", ""),
        (alto(WORD, ns="http://schema.ccs-gmbh.com/ALTO"), "unknown_format", "ALTO 2, 3 or 4"),
        (
            page_xml(page_line("a", "1,1 9,1 9,9"), ns=PAGE.replace("2019", "2010")),
            "unknown_format",
            "2013 to 2019",
        ),
        (alto(WORD, unit="cubit"), "unknown_format", "'cubit'; expected one of pixel, mm10"),
        (alto(""), "no_text", "no lines"),
    ],
)
def test_files_that_give_no_page(tmp_path: Path, xml: str, reason: str, words: str) -> None:
    folder = files(tmp_path, {"x.png": SCAN, "x.xml": xml, "y.png": SCAN, "y.xml": alto(WORD)})
    first, second = items_of(folder)
    assert (first.id, first.reason) == ("x.xml", reason)
    assert words in first.message
    assert not first.text
    assert (second.id, second.text) == ("y.png#l1", "word")


@pytest.mark.parametrize(
    ("contents", "reason", "words"),
    [
        ({"x.xml": alto(WORD, name="lost.png"), "other.png": SCAN}, "not_found", "'lost.png'"),
        ({"x.xml": alto(WORD), "other.png": SCAN}, "not_found", "it names none"),
        (
            {"x.png": SCAN, "x.xml": alto('<TextLine ID="l1"><String CONTENT="a"/></TextLine>')},
            "no_region",
            "no outline",
        ),
        (
            {"x.png": SCAN, "x.xml": page_xml(page_line("a", "1,1 nan,2 3"))},
            "no_region",
            "finite",
        ),
        (
            {"x.jpg": scan(), "x.xml": alto(WORD, unit="mm10")},
            "unknown_unit",
            "places are in mm10",
        ),
        (
            {"x.png": SCAN, "x.xml": alto(WORD, size='WIDTH="60" HEIGHT="120"')},
            "other_size",
            "60x120 px, its picture x.png 120x60",
        ),
        (
            {"x.jpg": scan(orientation=6), "x.xml": alto(WORD, size='WIDTH="120" HEIGHT="60"')},
            "other_size",
            "picture x.jpg 60x120",
        ),
    ],
)
def test_lines_that_have_no_place_in_a_picture(
    tmp_path: Path, contents: Mapping[str, bytes | str], reason: str, words: str
) -> None:
    (item,) = items_of(files(tmp_path, contents), format="pages")
    assert (item.id, item.reason, item.picture) == ("x.xml:l1", reason, None)
    assert words in item.message


def test_later_pages_of_a_file_are_rejects(tmp_path: Path) -> None:
    more = '<Page ID="q" PHYSICAL_IMG_NR="2">' + WORD.replace("l1", "l2") + "</Page></Layout>"
    xml = alto(WORD).replace("</Layout>", more)
    assert rows(files(tmp_path, {"x.png": SCAN, "x.xml": xml})) == [
        ("x.png#l1", "word", ""),
        ("x.xml:l2", "", "later_page"),
    ]


def test_what_is_outside_of_the_picture_or_can_t_be_decoded_is_an_error(tmp_path: Path) -> None:
    far = page_line("far", "500,5 560,5 560,25 500,25")
    contents = {"x.png": SCAN, "x.xml": page_xml(far), "y.png": b"no", "y.xml": alto(WORD)}
    source = open_source(str(files(tmp_path, contents)))
    outside, broken = source.read(list(source.items()))
    assert isinstance(outside, PictureError)
    assert outside.reason == "bad_region"
    assert isinstance(broken, PictureError)
    assert broken.reason == "undecodable"


def test_folders_without_pages_say_what_they_lack(tmp_path: Path) -> None:
    files(tmp_path, {"x.png": SCAN, "x.xml": "<svg/>"})
    with pytest.raises(DataError, match="pages: lacks ALTO or PAGE XML"):
        rows(tmp_path)
    files(tmp_path / "b", {"x.xml": alto(WORD)})
    with pytest.raises(DataError, match="pages: lacks pictures"):
        rows(tmp_path / "b")


def test_folders_of_xml_may_be_chosen(tmp_path: Path) -> None:
    contents = {"x.png": SCAN, "alto/x.xml": alto(WORD), "page/x.xml": page_xml("")}
    assert len(rows(files(tmp_path, contents))) == 2
    assert rows(tmp_path, lists=["alto/"]) == [("x.png#l1", "word", "")]
