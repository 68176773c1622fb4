"""The bundle's ``MODEL_CARD.md``: the facts of ``bundle.json`` in words, for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from crnn.bundle.calibration import ConfidenceBin, calibration_error
from crnn.bundle.reduced import Loss
from crnn.bundle.reliability import RELIABILITY_FILE


def model_card(about: dict[str, Any], *, num_parameters: int | None) -> str:
    """Markdown that states what the bundle's JSON object ``about`` holds, and nothing else."""
    picture, calibration = about["picture"], about["calibration"]
    calibrated = "" if calibration != {"slope": 1.0, "bias": 0.0} else " (not fitted)"
    facts = {
        "Weights": f"SHA-256 `{about['weights']['sha256']}`",
        **(_graph(about["imported"]) if "imported" in about else _network(about, num_parameters)),
        "Pictures": f"{picture['height']} px high, {_channels(picture['channels'])}, "
        f"{picture['mode']} widths {', '.join(map(str, picture['widths']))} px"
        + (f", {picture['stretch']:g} times as wide" if "stretch" in picture else ""),
        "Reading": _reading(about.get("reading")),
        "Decoder": about["decoder"] + _language(about.get("language")),
        "Confidence": f"sigmoid({calibration['slope']:g} · logit(p) + {calibration['bias']:g})"
        + calibrated,
        "Training data": f"`{about['data_digest']}`" if about["data_digest"] else "not recorded",
        **_onnx(about.get("onnx"), than="the source" if "imported" in about else "the weights"),
        **_reduced(about.get("reduced", {})),
    }
    kind = "An imported recognizer" if "imported" in about else "A CRNN"
    lines = [f"# {about['name']}", "", f"{kind} with CTC that reads one word or line per picture."]
    lines += ["", "| | |", "|---|---|", *(_row(key, value) for key, value in facts.items())]
    lines += ["", f"## Characters ({len(about['charset'])})", "", *_fenced(about["charset"])]
    lines += ["", "It can't write any other character.", "", "## Measured", ""]
    measured = [_row(key, value) for key, value in _flat(about["metrics"])]
    lines += ["| metric | value |", "|---|---|", *measured] if measured else ["Nothing recorded."]
    lines += [*_reliability(about.get("reliability", [])), *_training(about.get("training") or {})]
    lines += ["", "## Use", "", "```python", "from crnn import Recognizer", ""]
    lines += ['result = Recognizer.load("this/folder").read("picture.png")']
    lines += ["print(result.text, result.confidence)", "```", ""]
    return "\n".join(lines)


def _reliability(entries: list[dict[str, Any]]) -> Iterator[str]:
    """The plot of the confidences, and what it shows as a table."""
    if not entries:
        return
    bins = [ConfidenceBin(**entry) for entry in entries]
    count = sum(b.count for b in bins)
    yield from ("", "## Confidence", "")
    yield f"Expected calibration error {calibration_error(bins):.1%} over {count:,} readings:"
    yield from ("", f"![Share of right readings by confidence]({RELIABILITY_FILE})", "")
    yield from ("| confidence | on average | right | readings |", "|---|---|---|---|")
    for b in bins:
        span = f"{b.low:.2f} to {b.high:.2f}"
        yield f"| {span} | {b.mean_confidence:.1%} | {b.accuracy:.1%} | {b.count:,} |"


def _training(facts: dict[str, Any]) -> Iterator[str]:
    """How the bundle was made; its commands as they were typed."""
    if not facts:
        return
    yield from ("", "## Training", "")
    if commands := facts.get("commands"):
        yield from [*_fenced("\n".join(map(str, commands))), ""]
    rest = {key: value for key, value in facts.items() if key != "commands"}
    yield from ("| | |", "|---|---|", *(_row(key, value) for key, value in _flat(rest)))


def _network(about: dict[str, Any], num_parameters: int | None) -> dict[str, str]:
    model = about["model"]
    return {
        "Stored as": "float16" if about["weights"]["float16"] else "float32",
        "Backbone": model["backbone"],
        "Sequence part": f"{model['rnn_layers']} bidirectional {model['rnn'].upper()} layer(s) "
        f"of {model['rnn_hidden']} units each way",
        "Parameters": f"{num_parameters:,}",
    }


def _graph(imported: dict[str, Any]) -> dict[str, str]:
    return {
        "Imported from": f"{imported['source']}, SHA-256 `{imported['source_sha256']}`",
        "Licence": imported["licence"],
        **{key.capitalize(): value for key, value in imported["found"].items()},
    }


def _onnx(entry: dict[str, Any] | None, *, than: str) -> dict[str, str]:
    if entry is None:
        return {}
    proof = entry["proof"]
    engines = ", ".join(f"{name} {release}" for name, release in sorted(proof["engines"].items()))
    stated = (
        f"`{entry['file']}`: on {proof['pictures']:,} pictures the same texts as {than} with "
        f"{engines}, probabilities at most {proof['max_probability_difference']:.1e} apart"
    )
    return {"ONNX": stated}


def _reduced(entries: dict[str, Any]) -> dict[str, str]:
    losses = {name: Loss(**entry) for name, entry in sorted(entries.items())}
    return {
        f"Engine {name}": f"in {loss.release}, {loss}; confidences of the others at most "
        f"{loss.max_confidence_difference:.1e} apart"
        for name, loss in losses.items()
    }


def _reading(policy: dict[str, Any] | None) -> str:
    said = []
    if policy and policy["stretches"] and policy["below"]:
        times = " and ".join(f"{factor:g}" for factor in policy["stretches"])
        said.append(
            f"again at {times} times the width where CTC's probability is below "
            f"{policy['below']:g}, the more probable text kept"
        )
    if policy and policy["turn_from"]:
        said.append(
            f"turned both ways too from {policy['turn_from']:g} times as high as wide on, the most "
            "probable text kept"
        )
    return "; ".join(said) or "once"


def _language(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return ""
    fusion = entry["fusion"]
    return (
        f": where CTC's probability is below {fusion['below']:g}, a beam of "
        f"{fusion['beam_width']} with the language model `{entry['file']}`, weight "
        f"{fusion['weight']:g}, {fusion['bonus']:g} a character"
    )


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
