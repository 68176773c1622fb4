"""Sources of every format, on this machine and on S3, become shards with the very bytes."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import lmdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crnn.errors import DataError
from crnn.files import storage
from jobs.prepare import describe
from pipelines.prepare import PrepareConfig, begin, carry_out, prepare
from pipelines.shards import load_manifest
from tests.pipelines.conftest import encoded
from tests.pipelines.prepare.outputs import samples_of
from tests.pipelines.sources.made import files, tar
from tests.pipelines.sources.test_pages import page_line, page_xml

pytestmark = pytest.mark.usefixtures("local_ray")

WORDS = [f"word{number}" for number in range(9)]
PICTURES = {word: encoded(word, size=(40 + 2 * len(word), 20)) for word in WORDS}


def labels() -> dict[str, bytes]:
    lines = "".join(f"i/{word}.jpg\t{word}\n" for word in WORDS)
    return {"labels.tsv": lines.encode(), **{f"i/{w}.jpg": p for w, p in PICTURES.items()}}


def icdar() -> dict[str, bytes]:
    lines = "".join(f'{word}.jpg, "{word}"\r\n' for word in WORDS)
    return {"gt.txt": lines.encode("utf-8-sig"), **{f"{w}.jpg": p for w, p in PICTURES.items()}}


def names() -> dict[str, bytes]:
    return {f"{number}/{word}_x.jpg": PICTURES[word] for number, word in enumerate(WORDS)}


def scene() -> dict[str, bytes]:
    photo = encoded("photo", size=(90, 30), format="PNG")
    lines = [f"0,0,{20 + n},0,{20 + n},20,0,20,{word}" for n, word in enumerate(WORDS)]
    return {"i/img_1.png": photo, "gt/gt_img_1.txt": "\n".join(lines).encode()}


def pages() -> dict[str, bytes]:
    scan = encoded("scan", size=(90, 30), format="PNG")
    lines = [
        page_line(word, f"0,0 {20 + n},0 {20 + n},20 0,20", f"l{n}") for n, word in enumerate(WORDS)
    ]
    return {"i/x.png": scan, "page/x.xml": page_xml("".join(lines), size="90x30").encode()}


def webdataset(mode: str) -> dict[str, bytes]:
    members: dict[str, bytes | str] = {}
    for word in WORDS:
        members |= {f"{word}.jpg": PICTURES[word], f"{word}.txt": word}
    suffix = "tar" if mode == "w" else "tar.gz"
    return {f"s-{number}.{suffix}": tar(dict(part), mode) for number, part in enumerate(
        (list(members.items())[:8], list(members.items())[8:])
    )}  # fmt: skip


def parquet() -> dict[str, bytes]:
    image = pa.array([{"bytes": PICTURES[word], "path": None} for word in WORDS])
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": image, "text": WORDS}), buffer, row_group_size=4)
    return {"data/train-00000-of-00001.parquet": buffer.getvalue()}


def lmdb_file() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        with (
            lmdb.open(folder, map_size=1 << 24) as environment,
            environment.begin(write=True) as transaction,
        ):
            transaction.put(b"num-samples", str(len(WORDS)).encode())
            for number, word in enumerate(WORDS, start=1):
                transaction.put(f"image-{number:09d}".encode(), PICTURES[word])
                transaction.put(f"label-{number:09d}".encode(), word.encode())
        return {"data.mdb": (Path(folder) / "data.mdb").read_bytes()}


FORMATS: dict[str, Callable[[], dict[str, bytes]]] = {
    "labels": labels,
    "icdar": icdar,
    "names": names,
    "scene": scene,
    "pages": pages,
    "lmdb": lmdb_file,
    "webdataset": lambda: webdataset("w"),
    "webdataset-gz": lambda: webdataset("w:gz"),
    "parquet": parquet,
}


def put(uri: str, data: bytes) -> None:
    """These very bytes, whatever the name ends in."""
    system, path = storage.resolve(uri)
    with system.open_output_stream(path, compression=None) as stream:
        stream.write(data)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_source_on_s3_to_s3(kind: str, new_bucket: Callable[[], str]) -> None:
    source, out = storage.join(new_bucket(), "a set"), storage.join(new_bucket(), "out")
    for name, data in FORMATS[kind]().items():
        put(storage.join(source, name), data)
    pattern = r"(?P<text>[^/_]+)_x\.jpg$" if kind == "names" else ""
    (made,) = carry_out(begin([source], out, PrepareConfig(label_pattern=pattern)))
    rows = samples_of(out, made.manifest)
    assert sorted(row["text"] for row in rows) == WORDS
    assert made.manifest.recipe["sources"][0]["format"] == kind.removesuffix("-gz")
    assert not made.manifest.rejects
    assert not made.unlabelled.count
    if kind not in ("scene", "pages"):
        assert {row["text"]: row["image"] for row in rows} == PICTURES


@pytest.mark.parametrize("kind", ["labels", "icdar"])
def test_a_list_that_is_named_itself_is_read_with_the_pictures_in_its_folder(
    kind: str, new_bucket: Callable[[], str], tmp_path: Path
) -> None:
    bucket = new_bucket()
    (name,) = (name for name in FORMATS[kind]() if not name.endswith(".jpg"))
    for there, data in {**FORMATS[kind](), "more.tsv": b"none.jpg\tnone\n"}.items():
        put(storage.join(bucket, there), data)
    files(tmp_path / "set", FORMATS[kind]())
    for number, list_uri in enumerate((storage.join(bucket, name), str(tmp_path / "set" / name))):
        (made,) = prepare(list_uri, str(tmp_path / f"out{number}"), PrepareConfig())
        rows = samples_of(str(tmp_path / f"out{number}"), made)
        assert {row["text"]: row["image"] for row in rows} == PICTURES
        assert not made.rejects


def test_a_list_of_labels_is_no_set(tmp_path: Path) -> None:
    files(tmp_path, labels())
    with pytest.raises(
        DataError, match=r"labels\.tsv is a file; expected .* python jobs/prepare\.py .* OUT"
    ):
        load_manifest(str(tmp_path / "labels.tsv"))


def test_lines_of_a_page_stay_in_one_split_and_rejects_keep_their_part(tmp_path: Path) -> None:
    contents: dict[str, bytes | str] = {}
    for number in range(12):
        lines = [page_line(f"w{n}", "0,0 40,0 40,20 0,20", f"l{n}") for n in range(3)]
        lines += [page_line("", "50,0 60,0 60,20 50,20", "l4")]
        lines += [page_line("far", "500,0 600,0 600,20 500,20", "l5")]
        contents[f"{number}.png"] = encoded(str(number), size=(90, 30), format="PNG")
        contents[f"{number}.xml"] = page_xml("".join(lines), name=f"{number}.png", size="90x30")
    out = str(tmp_path / "out")
    made = prepare(str(files(tmp_path / "set", contents)), out, PrepareConfig(val_share=0.4))
    pages = [
        {row["group"] for row in samples_of(f"{out}/{split}", manifest)}
        for split, manifest in zip(("train", "val"), made, strict=True)
    ]
    assert not pages[0] & pages[1]
    assert pages[0] | pages[1] == {f"{number}.png" for number in range(12)}
    assert [len(found) > 0 for found in pages] == [True, True]
    rejects = {
        reason: sum(manifest.rejects.get(reason, 0) for manifest in made)
        for reason in ("no_label", "bad_region")
    }
    assert rejects == {"no_label": 12, "bad_region": 12}


def test_a_prepared_set_is_cut_anew_filtered_split_and_merged(tmp_path: Path) -> None:
    source = files(tmp_path / "words", labels())
    first, second, merged = (str(tmp_path / name) for name in ("first", "second", "merged"))
    prepare(str(source), first, PrepareConfig())
    again = PrepareConfig(part_rows=2, keep_text="[0-5]$", case="upper", val_share=0.4)
    train, val = prepare(first, second, again)
    assert len(train.shards) > 1
    assert train.recipe["text"]["case"] == "upper"
    rows = samples_of(f"{second}/train", train) + samples_of(f"{second}/val", val)
    assert sorted(row["text"] for row in rows) == [word.upper() for word in WORDS[:6]]
    assert {row["source"] for row in rows} == {"words"}
    assert train.rejects.get("filtered", 0) + val.rejects.get("filtered", 0) == 3

    halves = [f"{second}/train", f"{second}/val"]
    (whole,) = prepare(halves, merged, PrepareConfig(prefix_ids=False))
    assert sorted(row["id"] for row in samples_of(merged, whole)) == [
        f"i/{word}.jpg" for word in WORDS[:6]
    ]
    with pytest.raises(DataError, match=r"has no manifest.json itself.*train.*val.*name one"):
        prepare(second, str(tmp_path / "x"), PrepareConfig(format="prepared"))


def test_rows_and_pictures_without_each_other_are_counted_and_named(tmp_path: Path) -> None:
    source = files(tmp_path / "words", labels())
    for number in range(12):
        (source / f"lonely{number:02d}.jpg").write_bytes(b"x")
    with (source / "labels.tsv").open("a") as lines:
        lines.write("".join(f"lost{number:02d}.jpg\tx\n" for number in range(11)))
        lines.write("lonely03.jpg\t \n")
    out = str(tmp_path / "out")
    (made,) = carry_out(begin([str(source)], out, PrepareConfig(shuffle_seed=-1)))
    assert made.missing.count == 11
    assert made.missing.first == tuple(f"lost{number:02d}.jpg" for number in range(10))
    lonely = [f"lonely{number:02d}.jpg" for number in range(12) if number != 3]
    assert made.unlabelled.count == 11
    assert made.unlabelled.first == tuple(lonely[:10])
    assert str(made.unlabelled) == f"11 ({', '.join(lonely[:10])}, …)"
    assert load_manifest(out).recipe["unlabelled"] == {"count": 11, "first": lonely[:10]}
    (again,) = carry_out(begin([str(source)], out, PrepareConfig(shuffle_seed=-1)))
    assert (again.missing, again.unlabelled) == (made.missing, made.unlabelled)
    assert again.was_complete
    some = PrepareConfig(lists=("labels.tsv",))
    (made,) = carry_out(begin([str(source)], str(tmp_path / "some"), some))
    assert made.unlabelled.count == 0, "some lists need not name all pictures"


def test_a_list_whose_paths_are_all_wrong_says_what_there_is_instead(tmp_path: Path) -> None:
    files(tmp_path / "words", {"labels.tsv": "img/a.jpg\tx\n", "images/a.jpg": PICTURES["word0"]})
    wrong = r"none of the 1 pictures.*isn't there: 1 \(img/a.jpg\).*without a row: 1 \(images/a"
    with pytest.raises(DataError, match=wrong):
        prepare(str(tmp_path / "words"), str(tmp_path / "out"), PrepareConfig())


def test_the_data_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    source = str(files(tmp_path / "words", labels()))
    digests = {
        prepare(
            source, str(tmp_path / f"out{workers}"), PrepareConfig(part_rows=2, workers=workers)
        )[0].digest
        for workers in (0, 1)
    }
    assert len(digests) == 1


def test_the_manifest_tells_how_labels_became_texts(tmp_path: Path) -> None:
    files(tmp_path / "words", {**labels(), "labels.tsv": "i/word0.jpg\t “Ä” \ni/word1.jpg\t中\n"})
    config = PrepareConfig(charset="ascii", unknown="fold", punctuation="fold")
    (manifest,) = prepare(str(tmp_path / "words"), str(tmp_path / "out"), config)
    assert manifest.characters == {'"': 2, "A": 1}
    assert manifest.rejects == {"unknown_character": 1}
    text = json.loads((tmp_path / "out/manifest.json").read_text())["recipe"]["text"]
    assert (text["unknown"], text["punctuation"], text["whitespace"]) == ("fold", "fold", "strip")
    assert len(text["charset"]) == 94


def test_the_manifest_counts_what_was_left_out_of_texts(tmp_path: Path) -> None:
    texts = ["aß", "b", "ßéß", "漢"]
    lines = [f"i/word{number}.jpg\t{text}\n" for number, text in enumerate(texts)]
    files(tmp_path / "words", {**labels(), "labels.tsv": "".join([*lines, lines[0]])})
    config = PrepareConfig(charset="ab", unknown="drop")
    begun = begin([str(tmp_path / "words")], str(tmp_path / "out"), config)
    (made,) = carry_out(begun)
    assert made.manifest.rejects == {"duplicate_id": 1, "empty_label": 2}
    assert made.manifest.recipe["unknown_characters"] == {
        "samples": 1, "kinds": 1, "characters": {"ß": 1},
    }  # fmt: skip
    assert "altered by --unknown drop: 1 (the charset lacks 'ß' 1)" in describe(made)
