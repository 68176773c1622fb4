"""``--charset`` means the same in every job that has one: a name, the characters, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crnn.errors import CharsetError, DataError
from crnn.text.charset_file import charset_of
from jobs.import_settings import ImportSettings
from jobs.synthesize import SynthesizeSettings
from jobs.training.settings import TrainSettings
from pipelines.inspection.settings import InspectConfig
from pipelines.render.config import RenderConfig
from pipelines.textrules import TextRules

JOBS: dict[str, Any] = {
    "prepare": TextRules,
    "inspect": InspectConfig,
    "train": TrainSettings,
    "import": lambda charset: ImportSettings(source="a.onnx", out="b", charset=charset),
    "synthesize": lambda charset: SynthesizeSettings(
        count=0, preview="x.png", charset=charset, content="codes"
    ).render_config(),
}


@pytest.mark.parametrize("job", JOBS)
def test_a_charset_is_a_name_a_string_or_a_file(tmp_path: Path, job: str) -> None:
    file = tmp_path / "characters.txt"
    file.write_bytes("\ufeffabc\r\n\u00e4z\u0301a \n".encode())
    found = {value: JOBS[job](charset=value).charset for value in (str(file), "digits", "z\u0301")}
    assert found == {str(file): "abc\u00e4z\u0301 ", "digits": "digits", "z\u0301": "z\u0301"}
    with pytest.raises(DataError, match="can't be read as a UTF-8 file of characters"):
        JOBS[job](charset=str(tmp_path / "nowhere.txt"))


def test_a_file_of_characters_in_another_form_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "characters.txt"
    file.write_text("\u212b", encoding="utf-8")
    with pytest.raises(CharsetError, match="not in Unicode NFC"):
        RenderConfig(count=1, charset=charset_of(str(file)))
