"""Results of a job that may use some folders only stay in them; lists that are no files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crnn.errors import DataError
from jobs.serving.bulk.addresses import check_allowed
from pipelines.prefixes import leads_out
from pipelines.recognition import BulkConfig
from pipelines.recognition.flow import plan_work
from pipelines.recognition.listing import list_inputs
from tests.pipelines.evaluation_cases import random_bundle, rendered
from tests.pipelines.recognition.test_allowed import outcomes, write_list

ESCAPES = {
    "the folder itself": ("out", "out"),
    "a folder above it": ("above", "above/out"),
    "one that looks like a pattern": ("o*t[1]?", "o*t[1]?"),
}
"""The link in the folder that may be used, and the output that is asked for."""


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    (folder / "crops").mkdir(parents=True)
    (folder / "crops" / "1.png").write_bytes(rendered("1"))
    (tmp_path / "elsewhere").mkdir()
    random_bundle(tmp_path / "bundle")
    return folder


def planned(allowed: Path, output: Path) -> None:
    config = BulkConfig(prefixes=(str(allowed),))
    bundle, crops = str(allowed.parent / "bundle"), str(allowed / "crops")
    work = plan_work(bundle, crops, str(output), config)
    work.agenda.wait()


@pytest.mark.parametrize("name", ESCAPES)
def test_an_output_that_leads_elsewhere_is_refused_by_the_service_and_by_the_job(
    allowed: Path, name: str
) -> None:
    link, output = ESCAPES[name]
    (allowed / link).symlink_to(allowed.parent / "elsewhere")
    with pytest.raises(ValueError, match="expected an address in one of"):
        check_allowed("output", f"{allowed}/{output}", [str(allowed)], but_not="/records")
    with pytest.raises(DataError, match="symbolic link that leads out"):
        planned(allowed, allowed / output)
    assert not list((allowed.parent / "elsewhere").iterdir())


def test_folders_below_an_output_lead_nowhere_either(allowed: Path) -> None:
    planned(allowed, allowed / "out")
    [work] = [path for path in (allowed / "out").rglob("*") if path.is_dir() and path.name != "out"
              and not any(child.is_dir() for child in path.iterdir())]  # fmt: skip
    moved = allowed.parent / "elsewhere" / "work"
    work.rename(moved)
    work.symlink_to(moved)
    before = sorted(moved.iterdir())
    with pytest.raises(DataError, match="symbolic link that leads out"):
        planned(allowed, allowed / "out")
    assert sorted(moved.iterdir()) == before


def test_links_that_stay_and_outputs_of_the_command_line_are_as_before(allowed: Path) -> None:
    (allowed / "real").mkdir()
    (allowed / "link").symlink_to(allowed / "real")
    planned(allowed, allowed / "link" / "out")
    assert (allowed / "real" / "out").is_dir()
    planned(allowed, allowed.parent / "elsewhere" / "out")  # --prefixes are of what is read
    assert not leads_out("s3://bucket/out", (str(allowed), "s3://bucket"))
    check_allowed("input", f"{allowed}/crops/*.png", [str(allowed)], but_not="/r", may_match=True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_list_that_is_a_pipe_or_a_device_is_refused_at_once(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"device{suffix}").symlink_to("/dev/zero")
    for name in ("pipe", "device"):
        with pytest.raises(DataError, match="is a pipe, a socket or a device"):
            list(list_inputs(f"{tmp_path}/{name}{suffix}"))


def test_pipes_and_devices_among_inputs_are_rows_with_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "good.png").write_bytes(rendered("1"))
    names = [f"{tmp_path}/pipe.png", "/dev/zero", f"{tmp_path}/good.png"]
    found = outcomes(write_list(f"{tmp_path}/list.parquet", list(names)))
    assert [found[name] for name in names] == ["unreadable", "unreadable", rendered("1")]
