"""How much of real labelled pictures is read right: bundles of ours beside RapidOCR and Tesseract.

python bench/accuracy.py --words DIR DIR --lines DIR --bundle bundles/mobile
python bench/accuracy.py --words DIR --bundle runs/*/bundle --limit 500 --no-peers --readings R.tsv
pip install rapidocr==3.10.0 && apt-get install tesseract-ocr && python bench/accuracy.py …

The folders are any that ``jobs/prepare.py`` reads; none comes with the project. A picture counts
as right when letters and digits are, in any case (``crnn.text.metrics.alnum_form``), without a
lexicon; those whose label has neither are left out; a second table has what is right to the letter,
case and punctuation too. Intervals are Wilson's, 95%. Rates are pictures read in a second of one
core's time, decoding included, all in this run. What a peer read of a set is kept in
docs/accuracy.json, by the peer's version and the set's pictures; ``--as-kept`` takes it from there,
with the day beside the rate. ``--half a`` and ``--half b`` read one half of each set: what is
chosen by one is quoted of the other.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides import peers
from bench.sides.labelled import LabelledSet, half_of, labelled_set
from bench.sides.readings import CHUNK, BundleRead, Outcome, Reading, counted, read_with
from crnn.bundle.calibration import (
    Calibration,
    confidence_bins,
    expected_calibration_error,
    fit,
)
from crnn.bundle.reliability import reliability_svg
from crnn.text.metrics import Sums, wilson_interval
from pipelines.evaluation.result import CONFIDENCE_BINS

ROOT = Path(__file__).resolve().parent.parent


def rapidocr(one: LabelledSet) -> Outcome:
    recognizer, texts = peers.RapidRecognizer(), []
    began_s = time.process_time()
    for start in range(0, len(one.pictures), CHUNK):
        texts += recognizer.read([peers.bgr(data) for data in one.pictures[start : start + CHUNK]])
    return counted(texts, one.labels, time.process_time() - began_s)


def tesseract(one: LabelledSet) -> Outcome:
    texts, cpu_s = peers.tesseract(one.pictures, lines=one.lines)
    return counted(texts, one.labels, cpu_s)


PEERS: dict[str, tuple[Callable[[], str], Callable[[LabelledSet], Outcome]]] = {
    "rapidocr": (peers.rapidocr_version, rapidocr),
    "tesseract": (peers.tesseract_version, tesseract),
}


class Kept:
    """Outcomes of peers in a JSON file, by tool and set."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._tools = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def outcome(
        self, tool: str, one: LabelledSet, measure: Callable[[LabelledSet], Outcome], as_kept: bool
    ) -> Outcome:
        """What ``measure`` finds, which is kept; ``as_kept``: what is kept already, if it is."""
        sets = self._tools.setdefault(tool, {})
        if not as_kept or one.key not in sets:
            print(f"{tool} reads {len(one.labels):,} pictures of {one.name}", flush=True)
            found = measure(one)
            sets[one.key] = {
                "sums": found.sums.to_dict(),
                "cpu_s": round(found.cpu_s, 2),
                "cpu": cpu_name(),
                "measured": time.strftime("%Y-%m-%d"),
            }
            text = json.dumps(self._tools, indent=1, sort_keys=True)
            self._file.write_text(text + "\n", encoding="utf-8")
            return found
        entry = sets[one.key]
        sums = Sums.from_dict(entry["sums"])
        return Outcome(sums=sums, cpu_s=entry["cpu_s"], measured=entry["measured"])


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")


def accuracy_table(
    sets: Sequence[LabelledSet],
    tools: Mapping[str, Mapping[str, Outcome]],
    share: Callable[[Sums], str],
) -> list[str]:
    """Markdown: a row a tool, a column a set, and one over all sets of words."""
    words = [one.name for one in sets if not one.lines]
    lines = [one.name for one in sets if one.lines]
    columns = {f"{one.name} ({_size(one)})": [one.name] for one in sets}
    if len(words) > 1:
        columns["words pooled"] = words
    if len(lines) > 1:
        columns["lines pooled"] = lines
    heads = ["", *columns, *_paces(words, lines)]
    table = [_row(heads), _row(["---"] * len(heads))]
    for tool, outcomes in tools.items():
        pooled = [_pooled(outcomes, names) for names in columns.values()]
        paces = [_pooled(outcomes, names) for names in _paces(words, lines).values()]
        cells = [share(one.sums) for one in pooled]
        table.append(_row([tool, *cells, *(pace.rate for pace in paces)]))
    return table


def _paces(words: list[str], lines: list[str]) -> dict[str, list[str]]:
    paces = {"words/s a core": words, "lines/s a core": lines}
    return {head: names for head, names in paces.items() if names}


def _pooled(outcomes: Mapping[str, Outcome], names: Sequence[str]) -> Outcome:
    return sum((outcomes[name] for name in names), Outcome(sums=Sums(), cpu_s=0.0))


def _size(one: LabelledSet) -> str:
    return f"{len(one.labels):,}" + (f" of {one.total:,}" if one.total > len(one.labels) else "")


def by_letters_and_digits(sums: Sums) -> str:
    """The share that is right so, in percent, and its interval."""
    return _share(sums.alnum_exact, sums.alnum_count)


def to_the_letter(sums: Sums) -> str:
    """The share of texts equal to their labels, in percent, and its interval."""
    return _share(sums.exact, sums.count)


def _share(right: int, count: int) -> str:
    if not count:
        return "none"
    low, high = wilson_interval(right, count)
    return f"{100 * right / count:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def calibration_table(read: BundleRead, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Markdown: expected calibration errors, a row a group of sets; "fitted" is cross-fitted."""
    heads = ["ECE, %", "readings", "raw", "the bundle's", "fitted", "fitted on all: slope, bias"]
    table = [_row(heads), _row(["---"] * len(heads))]
    for name, members in groups.items():
        readings = [reading for reading in read.readings if reading.set in members]
        raw = [Calibration().apply(r.log_probability) for r in readings]
        shipped = [read.calibration.apply(r.log_probability) for r in readings]
        errors = [_error(readings, given) for given in (raw, shipped, cross_fitted(readings))]
        best = fitted(readings)
        cells = [f"{100 * error:.1f}" for error in errors]
        cells.append(f"{best.slope:.4f}, {best.bias:.4f}")
        table.append(_row([name, f"{len(readings):,}", *cells]))
    return table


def fitted(readings: Sequence[Reading]) -> Calibration:
    """The calibration that suits these readings best."""
    return fit([r.log_probability for r in readings], [r.right for r in readings])


def cross_fitted(readings: Sequence[Reading]) -> list[float]:
    """A confidence for each reading, by the calibration that suits the other half best."""
    halves = [half_of(r.set, r.id) for r in readings]
    of_other = {
        half: fitted([r for r, its in zip(readings, halves, strict=True) if its != half])
        for half in ("a", "b")
    }
    return [
        of_other[half].apply(r.log_probability) for r, half in zip(readings, halves, strict=True)
    ]


def _error(readings: Sequence[Reading], confidences: Sequence[float]) -> float:
    return expected_calibration_error(confidences, [r.right for r in readings], CONFIDENCE_BINS)


def write_readings(file: Path, read: BundleRead) -> None:
    """Every reading as a line: set, picture, label, text, right, confidence."""
    with file.open("w", encoding="utf-8") as out:
        for r in read.readings:
            confidence = read.calibration.apply(r.log_probability)
            cells = (r.set, r.id, r.label, r.text, str(int(r.right)), f"{confidence:.4f}")
            out.write("\t".join(cells) + "\n")


def write_plot(file: Path, read: BundleRead) -> None:
    """The reliability plot of the bundle's confidences over all sets."""
    confidences = [read.calibration.apply(r.log_probability) for r in read.readings]
    bins = confidence_bins(confidences, [r.right for r in read.readings], CONFIDENCE_BINS)
    file.write_text(reliability_svg(bins), encoding="utf-8")


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    part = {"limit": arguments.limit, "half": arguments.half}
    sets = [labelled_set(one, lines=False, **part) for one in arguments.words]
    sets += [labelled_set(one, lines=True, **part) for one in arguments.lines]
    reads = [
        read_with(uri, sets, arguments.engine, forbidden=arguments.without)
        for uri in arguments.bundle
    ]
    tools = {read.name: read.outcomes for read in reads}
    kept = Kept(arguments.kept)
    for version, measure in [PEERS[name] for name in arguments.peers]:
        tool = version()
        tools[tool] = {
            one.name: kept.outcome(tool, one, measure, arguments.as_kept) for one in sets
        }
    print(*accuracy_table(sets, tools, by_letters_and_digits), sep="\n", flush=True)
    print("\nto the letter:", *accuracy_table(sets, tools, to_the_letter), sep="\n", flush=True)
    groups = {"words": [one.name for one in sets if not one.lines]}
    groups["lines"] = [one.name for one in sets if one.lines]
    groups["all"] = groups["words"] + groups["lines"]
    groups = {name: members for name, members in groups.items() if members}
    for read in reads:
        print(f"\n{read.name}", *calibration_table(read, groups), sep="\n", flush=True)
    if arguments.readings:
        write_readings(arguments.readings, reads[-1])
    if arguments.reliability:
        write_plot(arguments.reliability, reads[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--words", nargs="*", default=[], help="folders of labelled words")
    parser.add_argument("--lines", nargs="*", default=[], help="folders of labelled lines")
    parser.add_argument("--bundle", nargs="*", default=[], help="bundles of ours")
    parser.add_argument("--engine", default="auto", help="of the bundles (%(default)s)")
    parser.add_argument("--without", default="", help="characters that no bundle may read")
    parser.add_argument("--limit", type=int, default=0, help="pictures of each set; 0: all")
    parser.add_argument(
        "--peers", nargs="*", default=list(PEERS), choices=list(PEERS), help="(%(default)s)"
    )
    parser.add_argument("--no-peers", dest="peers", action="store_const", const=[])
    parser.add_argument("--half", default="", choices=["a", "b"], help="of each set; else all")
    parser.add_argument("--as-kept", action="store_true", help="peers from --kept, if there")
    parser.add_argument("--kept", type=Path, default=ROOT / "docs/accuracy.json")
    parser.add_argument("--readings", type=Path, help="TSV of the last bundle's readings")
    parser.add_argument("--reliability", type=Path, help="SVG of the last bundle's calibration")
    options = parser.parse_args()
    if not options.words + options.lines:
        parser.error("no --words and no --lines: give folders of labelled pictures")
    main(options)
