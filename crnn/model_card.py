"""The bundle's ``MODEL_CARD.md``: the facts of ``bundle.json`` in words, for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any


def model_card(about: dict[str, Any], *, num_parameters: int) -> str:
    """Markdown that states what the bundle's JSON object ``about`` holds, and nothing else."""
    model, picture, calibration = about["model"], about["picture"], about["calibration"]
    calibrated = "" if calibration != {"slope": 1.0, "bias": 0.0} else " (not fitted)"
    facts = {
        "Weights": f"SHA-256 `{about['weights']['sha256']}`",
        "Stored as": "float16" if about["weights"]["float16"] else "float32",
        "Backbone": model["backbone"],
        "Sequence part": f"{model['rnn_layers']} bidirectional {model['rnn'].upper()} layer(s) "
        f"of {model['rnn_hidden']} units each way",
        "Parameters": f"{num_parameters:,}",
        "Pictures": f"{picture['height']} px high, {_channels(picture['channels'])}, "
        f"{picture['mode']} widths {', '.join(map(str, picture['widths']))} px",
        "Decoder": about["decoder"],
        "Confidence": f"sigmoid({calibration['slope']:g} · logit(p) + {calibration['bias']:g})"
        + calibrated,
        "Training data": f"`{about['data_digest']}`" if about["data_digest"] else "not recorded",
        **_onnx(about.get("onnx")),
    }
    lines = [f"# {about['name']}", "", "A CRNN with CTC that reads one word or line per picture."]
    lines += ["", "| | |", "|---|---|", *(_row(key, value) for key, value in facts.items())]
    lines += ["", f"## Characters ({len(about['charset'])})", "", *_fenced(about["charset"])]
    lines += ["", "It can't write any other character.", "", "## Measured", ""]
    measured = [_row(key, value) for key, value in _flat(about["metrics"])]
    lines += ["| metric | value |", "|---|---|", *measured] if measured else ["Nothing recorded."]
    lines += ["", "## Use", "", "```python", "from crnn import Recognizer", ""]
    lines += ['result = Recognizer.load("this/folder").read("picture.png")']
    lines += ["print(result.text, result.confidence)", "```", ""]
    return "\n".join(lines)


def _onnx(entry: dict[str, Any] | None) -> dict[str, str]:
    if entry is None:
        return {}
    proof = entry["proof"]
    engines = ", ".join(f"{name} {release}" for name, release in sorted(proof["engines"].items()))
    stated = (
        f"`{entry['file']}`: on {proof['pictures']:,} pictures the same texts as the weights with "
        f"{engines}, probabilities at most {proof['max_probability_difference']:.1e} apart"
    )
    return {"ONNX": stated}


def _channels(channels: int) -> str:
    return "grey" if channels == 1 else "RGB"


def _row(key: str, value: object) -> str:
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    cells = [cell.replace("|", "\\|").replace("\n", " ") for cell in (key, shown)]
    return f"| {cells[0]} | {cells[1]} |"


def _fenced(text: str) -> list[str]:
    """A code block whose fence is longer than any run of backticks in ``text``."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, text, fence]


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
