"""When rendered words of what a bundle reads already are trained on beside other data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crnn.errors import DataError
from crnn.text.charset import CHARSETS, Charset
from jobs.cli import as_mapping
from jobs.training import replay
from jobs.training.data import choose_charset
from jobs.training.settings import TrainSettings, differences
from pipelines.render.config import RenderConfig
from pipelines.stream.plan import StreamSource

OLD = Charset(CHARSETS["ascii_space"])


@pytest.mark.parametrize(
    ("changed", "written", "wanted"),
    [
        ({}, "abc", True),
        ({}, [*OLD.characters, "é"], True),
        ({}, OLD.characters, False),
        ({"replay": 0.0}, "abc", False),
        ({"charset": "digits"}, "0123456789", False),
        ({"charset": "digits"}, "012345678", True),
        ({"data": ()}, "abc", False),
    ],
)
def test_data_of_other_characters_have_the_old_ones_replayed(
    changed: dict[str, Any], written: list[str], wanted: bool
) -> None:
    settings = TrainSettings(**({"data": ("set",)} | changed))
    assert replay.is_wanted(settings, OLD, written) is wanted


def test_a_run_begun_before_there_was_replay_goes_on_with_or_without_it() -> None:
    settings = TrainSettings(data=("set",), replay=0.0)
    recorded = as_mapping(settings)
    older = {name: v for name, v in recorded.items() if not name.startswith("replay")}
    assert differences(older, settings) == differences(older, replace(settings, replay=0.3)) == []
    assert differences(recorded, replace(settings, replay=0.3)) == ["replay: 0.0 → 0.3"]


def test_random_weights_have_nothing_to_forget() -> None:
    assert not replay.is_wanted(TrainSettings(data=("set",)), None, "abc")


def test_the_old_characters_stay_in_the_charset() -> None:
    settings = TrainSettings(data=("set",))
    assert choose_charset(settings, ["é", *OLD.characters]).characters == OLD.characters + "é"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, RenderConfig]:
    """What would be rendered, by the end of its address."""
    configs: dict[str, RenderConfig] = {}

    def render(uri: str, config: RenderConfig) -> str:
        configs["/".join(uri.rsplit("-", 2)[-2:]) if "kept" in uri else uri] = config
        return uri

    def load(uri: str) -> tuple[StreamSource, Any]:
        return StreamSource(uri=uri, groups=(("s", 0, 10),)), type("Manifest", (), {"digest": uri})

    monkeypatch.setattr(replay, "_rendered", render)
    monkeypatch.setattr(replay.flow, "load_source", load)
    return configs


def test_words_and_lines_make_up_the_share_asked_for(asked: dict[str, RenderConfig]) -> None:
    settings = TrainSettings(data=("set",), replay=0.2, epochs=3)
    found = replay.replay_beside(settings, OLD, 4000)
    assert [source.rows_an_epoch for source in found.sources] == [750, 250]
    assert found.characters == OLD.characters and len(found.kept) == 2
    words, kept_words, lines, kept_lines = asked.values()
    assert (words.count, lines.count) == (2250, 750)
    assert lines.lines and kept_lines.lines and not words.lines
    assert words.split == "train" and kept_words.split == kept_lines.split == "held_out"
    assert kept_words.count + kept_lines.count == replay.KEPT_SAMPLES


def test_much_data_has_words_that_come_again(asked: dict[str, RenderConfig]) -> None:
    found = replay.replay_beside(TrainSettings(data=("set",), replay=0.5), OLD, 10**6)
    assert sum(source.rows_an_epoch or 0 for source in found.sources) == 10**6
    assert sum(c.count for c in asked.values()) == replay.MOST_RENDERED + replay.KEPT_SAMPLES


def test_characters_of_no_english_word_are_replayed_as_codes(
    asked: dict[str, RenderConfig],
) -> None:
    replay.replay_beside(TrainSettings(data=("set",)), Charset("!?%&"), 100)
    assert {config.content for config in asked.values()} == {"codes"}


def test_without_fonts_nothing_is_replayed_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(config: RenderConfig, *, system: bool) -> None:
        raise DataError("no font here")

    monkeypatch.setattr(replay, "chosen_fonts", none)
    found = replay.replay_beside(TrainSettings(data=("set",)), OLD, 100)
    assert found == replay.Replay()
    assert "is replayed: no font here" in capsys.readouterr().out
