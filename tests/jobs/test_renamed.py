"""Old names of settings mean the same as the present ones, as flags, in YAML and in arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import cli
from jobs.serving.settings import ServeSettings, from_arguments
from pipelines.recognition.config import BulkConfig

NOTE = "note: --decoders is called --decode-processes now\n"


@pytest.mark.parametrize("flags", [["--decoders", "3"], ["--decoders=3"]])
def test_an_old_flag_is_the_present_one(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.parse(BulkConfig, flags, description="") == BulkConfig(decode_processes=3)
    assert capsys.readouterr().err == NOTE
    assert cli.parse(BulkConfig, ["--decode-processes", "3", "--decoder", "beam"], description="")
    assert capsys.readouterr().err == ""


def test_an_old_key_is_the_present_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "serve.yaml"
    path.write_text("online: {decoders: 2}\n")
    settings = cli.parse(ServeSettings, ["--config", str(path)], description="")
    assert settings.online.decode_processes == 2
    assert capsys.readouterr().err == f"note: decoders in {path} is called decode_processes now\n"
    flags = ["--config", str(path), "--online.decoders", "4"]
    assert cli.parse(ServeSettings, flags, description="").online.decode_processes == 4
    path.write_text("online: {decoders: 2, decode_processes: 3}\n")
    with pytest.raises(ValueError, match="decoders and decode_processes, which mean the same"):
        cli.parse(ServeSettings, ["--config", str(path)], description="")


def test_an_old_argument_of_the_application_is_the_present_one() -> None:
    for arguments in ({"online.decoders": "2"}, {"online": {"decoders": 2}}):
        assert from_arguments(arguments).online.decode_processes == 2
