"""The command line of jobs/train.py: help, YAML, and what bad input gets."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import yaml

from jobs import cli, train
from jobs.synthesize import SynthesizeSettings
from jobs.training.settings import TrainSettings, differences
from pipelines.shards import MANIFEST_NAME
from tests.jobs.runs import TINY, TRAIN, refused, tiny_bundle, within
from tests.pipelines.stream.sets import good, write_set


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the jobs run: a set, a set cut short, one without a manifest, a bad bundle, …"""
    home = tmp_path_factory.mktemp("cli")
    write_set(home / "set", good(60))
    write_set(home / "cut", good(60))
    (shard,) = (home / "cut").glob("*.parquet")
    shard.write_bytes(shard.read_bytes()[:-100])
    write_set(home / "unfinished", good(60))
    (home / "unfinished" / MANIFEST_NAME).unlink()
    (home / "empty").mkdir()
    tiny_bundle(home / "changed")
    weights = home / "changed" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    (home / "misspelt.yaml").write_text("epochs: 1\noptim:\n  learning_rate: 0.1\n")
    return home


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("--colour red", 2, ["--colour"]),
        ("--num-workers 0", 2, ["--num-workers is '0'; expected N or MIN:MAX"]),
        ("--config misspelt.yaml", 2, ["'optim.learning_rate'", "lr, weight_decay"]),
        ("--name ../elsewhere --overwrite", 2, ["--name is '../elsewhere'"]),
        ("--optim.lr-scales backbnoe 0.1", 2, ["lr_scales names ['backbnoe']", "'backbone'"]),
        ("--data nowhere", 1, ["error: there is no", "nowhere"]),
        ("--data empty", 1, ["error: ", "empty"]),
        ("--data unfinished", 1, ["error: ", "unfinished", MANIFEST_NAME]),
        ("--data cut", 1, ["error: the shard", "part-0000-000.parquet", "cut short"]),
        ("--data set --init-from changed", 1, ["error: ", "SHA-256", "changed"]),
        ("--data set --init-from set", 1, ["error: ", "bundle.json"]),
        (
            "--data set --val-share 1e-9",
            1,
            ["none of the 60 samples is for validation", "--val,", "of their group (or id)"],
        ),
        ("--data set --charset abc", 1, ["training labels are unusable", "lacks: '", "--charset"]),
    ],
)
def test_bad_input_is_one_message_and_leaves_nothing(
    folder: Path, arguments: str, status: int, words: list[str], local_ray: None
) -> None:
    before = sorted(folder.rglob("*"))
    refused(within(train.main, *arguments.split(), cwd=folder), status, *words)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.slow
def test_pages_damaged_within_a_shard_end_the_run_with_its_name(
    tmp_path: Path, local_ray: None
) -> None:
    write_set(tmp_path / "set", good(120))
    (shard,) = (tmp_path / "set").glob("*.parquet")
    data = bytearray(shard.read_bytes())
    at = data.index(b"\x89PNG")
    data[at + 100 : at + 220] = b"\xff" * 120  # of the pictures' page, which the scan leaves alone
    shard.write_bytes(data)
    done = within(
        train.main,
        *("--data", "set", "--name", "a", "--max-failures", "1", "--epochs", "1", *TINY),
        cwd=tmp_path,
    )
    refused(done, 1, "error: ", shard.name)
    assert done.stdout.count("worker 0 stopped: DataError") == 2, "one failure was allowed"
    assert not (tmp_path / "runs/a/done.json").exists()
    assert not (tmp_path / "runs/a/bundle").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "three"], "three"),
        (["--epochs", "0"], "--epochs is 0"),
        (["--num-workers", "3:2"], "--num-workers is '3:2'"),
        (["--num-workers", "many"], "expected N or MIN:MAX"),
        (["--weights", "1", "2", "--data", "a"], "--weights has 2 values for 1 --data"),
        (["--val", "a"], "--val goes with --data"),
        (["--name", "."], "--name is '.'"),
        (["--name", "data"], "where rendered strings are"),
        (["--freeze-backbone"], "vgg16_bn"),
        (["--picture.mode", "fixed"], "one width"),
    ],
)
def test_settings_that_make_no_sense(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.parse(TrainSettings, arguments, description="")
    assert ended.value.code == 2
    shown = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert message in shown


def test_a_config_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a file"):
        cli.parse(TrainSettings, ["--config", str(tmp_path / "none.yaml")], description="")


def test_help_shows_every_flag_with_its_default(tmp_path: Path) -> None:
    done = within(train.main, "--help", cwd=tmp_path, extra={"COLUMNS": "1000"})
    assert done.returncode == 0
    words = [word.rstrip(",") for word in done.stdout.split()]
    flags = list(flags_of(TrainSettings()))
    assert len(flags) > 60
    for flag, default in flags:
        assert flag in words
        assert f"default: {default}" in done.stdout, flag


def test_help_that_nobody_reads_ends_without_a_traceback() -> None:
    command = [sys.executable, str(TRAIN), "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), said) == (141, "")


def flags_of(settings: object, prefix: str = "--") -> list[tuple[str, str]]:
    """(flag, its default as help shows it); every field has one line of meaning."""
    found = []
    for field in fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        name = prefix + field.name.replace("_", "-")
        if is_dataclass(value):
            found += flags_of(value, f"{name}.")
        elif not isinstance(value, (tuple, dict)):
            found.append((name, str(value)))
    return found


def test_yaml_and_flags_give_the_same_settings(tmp_path: Path) -> None:
    flags = [
        *("--data", "a", "b", "--weights", "0.25", "0.75", "--epochs", "7", "--num-workers", "1:3"),
        *("--audit", "--model.backbone", "vgg", "--picture.mode", "fixed"),
        *("--picture.widths", "100", "--optim.lr-scales", "backbone", "0.1", "--optim.lr", "1e-4"),
    ]
    mapping = {
        "data": ["a", "b"],
        "weights": [0.25, 0.75],
        "epochs": 7,
        "num_workers": "1:3",
        "audit": True,
        "model": {"backbone": "vgg"},
        "picture": {"mode": "fixed", "widths": [100]},
        "optim": {"lr_scales": {"backbone": 0.1}, "lr": 1e-4},
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(mapping))
    by_flags = cli.parse(TrainSettings, flags, description="")
    assert cli.parse(TrainSettings, ["--config", str(path)], description="") == by_flags
    path.write_text(yaml.safe_dump(cli.as_mapping(by_flags)))
    assert cli.parse(TrainSettings, [f"--config={path}"], description="") == by_flags


def test_flags_override_yaml_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("epochs: 7\naudit: true\ndata: [a, b]\noptim: {lr: 0.5, warmup: 0.2}\n")
    settings = cli.parse(
        TrainSettings,
        ["--config", str(path), "--data", "c", "--no-audit", "--optim.lr=0.1"],
        description="",
    )
    assert (settings.data, settings.audit, settings.epochs) == (("c",), False, 7)
    assert (settings.optim.lr, settings.optim.warmup) == (0.1, 0.2)


def test_a_setting_newer_than_the_run_had_its_default() -> None:
    begun = cli.as_mapping(TrainSettings(epochs=3))
    del begun["patience"], begun["optim"]["ema_decay"]
    assert differences(begun, TrainSettings(epochs=3)) == []
    assert differences(begun, TrainSettings(epochs=3, patience=2)) == ["patience: 0 → 2"]


def test_a_list_in_yaml_takes_no_places_along(tmp_path: Path) -> None:
    """A positional argument after ``--config`` isn't one more value of its last list."""
    path = tmp_path / "set.yaml"
    path.write_text("count: 5\nfonts: [a, b]\nadjust: {blur_em: 0.1}\n")
    settings = cli.parse(
        SynthesizeSettings, ["shards/x", "--config", str(path), "--seed", "3"], description=""
    )
    assert (settings.out, settings.seed, settings.fonts) == ("shards/x", 3, ("a", "b"))
    assert settings.adjust == {"blur_em": 0.1}


@pytest.mark.parametrize(
    ("line", "written", "read"),
    [
        ("charset: 01234567", "01234567", "342391"),
        ("charset: 1.50", "1.50", "1.5"),
        ("charset: no", "no", "False"),
        ("name: 2026-11-28", "2026-11-28", "datetime.date(2026, 11, 28)"),
        ("name: 12:30", "12:30", "750"),
        ("data: [a, 007]", "007", "7"),
        ("model: {backbone: off}", "off", "False"),
    ],
)
def test_what_yaml_takes_for_no_text_is_to_be_quoted(
    tmp_path: Path, line: str, written: str, read: str
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match="quote it") as told:
        cli.parse(TrainSettings, ["--config", str(path)], description="")
    assert f'YAML reads {written} as {read}; quote it: "{written}"' in str(told.value)


def test_numbers_of_yaml_are_taken_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text('seed: 0100\ncharset: "01234567"\noptim: {lr: 1e-3}\n')
    settings = cli.parse(TrainSettings, ["--config", str(path)], description="")
    assert (settings.seed, settings.charset, settings.optim.lr) == (100, "01234567", 0.001)
    path.write_text("seed:\n")
    with pytest.raises(ValueError, match="seed has no value"):
        cli.parse(TrainSettings, ["--config", str(path)], description="")
