"""What is deleted is ours, here and in a bucket; whatever else lies beside it stays."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from crnn.errors import DataError
from crnn.files import storage
from jobs.training.run import RUN_FILES, train
from jobs.training.settings import TrainSettings
from pipelines.evaluation import forget_parts
from pipelines.output import claim, release
from pipelines.owned import begin_page, delete_ours, refuse_foreign

OURS = re.compile(r"a/x\.bin|done")


def files(root: str) -> set[str]:
    return {info.uri.removeprefix(f"{root}/") for info in storage.list_files(root, recursive=True)}


def put(root: str, *names: str) -> None:
    for name in names:
        storage.write_bytes(f"{root}/{name}", b"1")


def test_other_files_are_named_and_stay(tmp_path: Path, new_bucket: Callable[[], str]) -> None:
    for root in (str(tmp_path / "r"), f"{new_bucket()}/r"):
        refuse_foreign(root, OURS, "a run")
        put(root, "a/x.bin", "done", "a/notes.txt")
        with pytest.raises(DataError, match=rf"{root} holds 'a/notes.txt', which a run"):
            refuse_foreign(root, OURS, "a run")
        delete_ours(root, OURS, first=["done"])
        assert files(root) == {"a/notes.txt"}
    put(str(tmp_path / "r"), "a/x.bin")
    (tmp_path / "r/a/notes.txt").unlink()
    delete_ours(str(tmp_path / "r"), OURS)
    assert list((tmp_path / "r").iterdir()) == []


def test_nothing_behind_a_link_is_deleted(tmp_path: Path) -> None:
    put(str(tmp_path), "elsewhere/x.bin", "r/done")
    (tmp_path / "r/a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="holds 'a'"):
        refuse_foreign(str(tmp_path / "r"), OURS, "a run")
    delete_ours(str(tmp_path / "r"), OURS)
    assert (tmp_path / "elsewhere/x.bin").exists()


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_that_is_no_run_is_not_overwritten(
    tmp_path: Path, new_bucket: Callable[[], str], overwrite: bool
) -> None:
    for home in (str(tmp_path), new_bucket()):
        put(home, "docs/readme.md")
        settings = TrainSettings(name="docs", storage_path=home, overwrite=overwrite)
        with pytest.raises(DataError, match=r"docs holds 'readme.md', which a run of jobs/train"):
            train(settings)
        assert files(home) == {"docs/readme.md"}


def test_what_somebody_put_into_a_run_keeps_it(tmp_path: Path) -> None:
    put(str(tmp_path), "first/config.yaml", "first/bundle/bundle.json", "first/bundle/notes.md")
    with pytest.raises(DataError, match=r"first holds 'bundle/notes.md'"):
        train(TrainSettings(name="first", storage_path=str(tmp_path), overwrite=True))
    assert len(files(str(tmp_path))) == 3


def test_the_files_of_a_run_are_known() -> None:
    for path in (
        *("config.yaml", "checkpoint_2026-11-28_10-00-00.123/state.pt", "report.html"),
        *("checkpoint_manager_snapshot.json", "tensorboard/events.out.tfevents.1.host.2.0"),
        *("bundle/model.safetensors", "audit/rank-0/00000001", "rejects/part-00000.parquet"),
    ):
        assert RUN_FILES.fullmatch(path), path
    for path in ("notes.md", "bundle/notes.md", "tensorboard/x.txt", "data/part-0.parquet"):
        assert not RUN_FILES.fullmatch(path), path


def test_overwriting_shards_leaves_other_files(
    tmp_path: Path, new_bucket: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.claim.QUIET_S", 0)
    for root in (str(tmp_path / "set"), f"{new_bucket()}/set"):
        claim(root, {"": {"seed": 1}}, overwrite=False)
        ours = ("part-00000-000.parquet", "rejects/part-00000.parquet", "_parts/part-00000.json")
        others = ("mine.parquet", "rejects/mine.parquet", "_parts/mine.json", "notes/part.txt")
        put(root, *ours, *others)
        claim(root, {"": {"seed": 2}}, overwrite=True)
        assert files(root) == {*others, "_parts/recipe.json"}
        assert json.loads(storage.read_bytes(f"{root}/_parts/recipe.json")) == {"seed": 2}
        release(root)
        assert files(root) == set(others)


def test_what_was_written_a_moment_ago_on_a_store_is_not_overwritten(
    new_bucket: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another job may be at work there, and a store has no locks."""
    root = f"{new_bucket()}/set"
    claim(root, {"": {"seed": 1}}, overwrite=False)
    before = files(root)
    with pytest.raises(DataError, match=r"recipe.json was written \d+ s ago.*may be at work"):
        claim(root, {"": {"seed": 2}}, overwrite=True)
    assert files(root) == before
    claim(root, {"": {"seed": 1}}, overwrite=True)  # its own rerun goes on
    monkeypatch.setattr("pipelines.claim.QUIET_S", 0)
    claim(root, {"": {"seed": 2}}, overwrite=True)
    put(root, "manifest.json")  # finished: nobody is at work
    monkeypatch.setattr("pipelines.claim.QUIET_S", 120)
    claim(root, {"": {"seed": 3}}, overwrite=True)


def test_figures_without_their_page_are_not_ours(tmp_path: Path) -> None:
    home = str(tmp_path)
    begin_page(home, "report.html", "report.json")
    put(home, "report.json")
    with pytest.raises(DataError, match=r"holds 'report.json' without 'report.html'.*replace it"):
        begin_page(home, "report.html", "report.json")
    put(home, "report.html")
    begin_page(home, "report.html", "report.json")
    assert files(home) == {"report.html"}


def test_predictions_take_the_place_of_predictions_alone(tmp_path: Path) -> None:
    others = {"part-00000-000.parquet", "part-mine.parquet", "part-00000.csv"}
    put(str(tmp_path), "part-00000.parquet", "part-00001.parquet", *others)
    forget_parts(str(tmp_path))
    assert files(str(tmp_path)) == others
