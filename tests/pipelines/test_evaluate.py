from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.bundle import calibration
from crnn.errors import BundleError, CharsetError, DataError
from crnn.inference.recognizer import Recognizer
from crnn.text.charset import normalise
from crnn.text.metrics import Sums, score
from pipelines.evaluation import Evaluation, Progress, evaluate
from pipelines.evaluation.plan import LEAST_ROWS, Piece, cut, plan_set
from pipelines.evaluation.reader import PREDICTION_SCHEMA
from pipelines.evaluation.tally import (
    EXAMPLES,
    GALLERY_SIZE,
    OutOfReach,
    ReadingTally,
    confusions,
    worst_confident,
)
from pipelines.holdout import is_held_out
from pipelines.shards import Sample, load_manifest, read_row_group
from tests.pipelines.evaluation_cases import CALIBRATION, digits, mistake, prepared_cases, write_set


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str], list[Sample]]:
    return prepared_cases(tmp_path_factory.mktemp("cases"))


@pytest.fixture(scope="module")
def evaluated(
    local_ray: None,
    cases: tuple[str, dict[str, str], list[Sample]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Evaluation, Path, list[Progress]]:
    bundle, sets, _ = cases
    predictions, seen = tmp_path_factory.mktemp("predictions"), list[Progress]()
    outcome = evaluate(bundle, sets, predictions_uri=str(predictions), on_progress=seen.append)
    return outcome, predictions, seen


def judged_directly(bundle: str, rows: list[Sample]) -> list[tuple[Sums, float, str]]:
    """(sums, confidence, text) of each row, by the recognizer and the metrics alone."""
    results = Recognizer.load(bundle).read([row["image"] for row in rows])
    answers = []
    for row, result in zip(rows, results, strict=True):
        length = len(row["text"])
        letters = [c for c in row["text"] if c.isalnum()]
        unread = Sums(
            count=1,
            alnum_count=int(any(map(str.isascii, letters))),
            letters_count=int(bool(letters)),
            edits=length,
            characters=length,
        )
        sums = unread if result.error_code else score(result.text, row["text"])
        answers.append((sums, result.confidence, result.text))
    return answers


def rows_of(uri: str) -> list[Sample]:
    manifest = load_manifest(uri)
    return [
        row
        for entry in manifest.shards
        for index in range(len(entry.row_groups))
        for row in read_row_group(uri, entry.name, index).to_pylist()
    ]


def test_sums_equal_a_direct_loop(
    evaluated: tuple[Evaluation, Path, list[Progress]],
    cases: tuple[str, dict[str, str], list[Sample]],
) -> None:
    evaluation, (bundle, sets, rows) = evaluated[0], cases
    assert rows_of(sets["first <set>"]) == [{"group": None, **row} for row in rows]
    direct = {
        name: [j[0] for j in judged_directly(bundle, rows_of(uri))] for name, uri in sets.items()
    }
    for name, each in direct.items():
        found, expected = evaluation.by_set[name].to_dict(), sum(each, Sums()).to_dict()
        assert found == pytest.approx(expected)
    everything = [sums for each in direct.values() for sums in each]
    assert evaluation.total.to_dict() == pytest.approx(sum(everything, Sums()).to_dict())
    assert 10 < evaluation.total.exact < evaluation.total.count
    for length, sums in evaluation.by_length.items():
        expected = sum((s for s in everything if s.characters == length), Sums())
        assert sums.to_dict() == pytest.approx(expected.to_dict())


def test_predictions_hold_every_sample_once_in_order(
    evaluated: tuple[Evaluation, Path, list[Progress]],
    cases: tuple[str, dict[str, str], list[Sample]],
) -> None:
    (_, folder, _), (bundle, sets, _) = evaluated, cases
    table = pq.read_table(folder / "part-00000.parquet")
    assert table.schema.equals(PREDICTION_SCHEMA)
    rows = [(name, row) for name, uri in sets.items() for row in rows_of(uri)]
    assert list(zip(table["set"].to_pylist(), table["id"].to_pylist(), strict=True)) == [
        (name, row["id"]) for name, row in rows
    ]
    direct = judged_directly(bundle, [row for _, row in rows])
    assert table["text"].to_pylist() == [text for _, _, text in direct]
    assert table["exact"].to_pylist() == [bool(sums.exact) for sums, _, _ in direct]
    assert table["confidence"].to_pylist() == pytest.approx([c for _, c, _ in direct], abs=1e-6)


def test_samples_out_of_reach_are_wrong_and_listed(
    evaluated: tuple[Evaluation, Path, list[Progress]],
) -> None:
    evaluation, folder, _ = evaluated
    reasons = {p.id: p.reason for p in evaluation.problem_examples}
    assert reasons == {
        "junk": "undecodable",
        "markup": "unknown_character",
        "endless": "too_long_for_width",
    }
    assert evaluation.problems == Counter(reasons.values())
    rows = {row["id"]: row for row in pq.read_table(folder).to_pylist()}
    for sample_id, reason in reasons.items():
        assert rows[sample_id]["reason"] == reason
        assert not rows[sample_id]["exact"]
    assert rows["junk"]["log_probability"] is None
    galleries = [*evaluation.most_confident_mistakes, *evaluation.most_distant_mistakes]
    assert not {mistake.id for mistake in galleries} & set(reasons)


def test_gallery_holds_the_worst_of_all(
    evaluated: tuple[Evaluation, Path, list[Progress]],
) -> None:
    evaluation, folder, _ = evaluated
    rows = pq.read_table(folder).to_pylist()
    wrong = [row for row in rows if not row["exact"] and row["reason"] is None]
    assert len(wrong) > GALLERY_SIZE
    surest = sorted((row["confidence"] for row in wrong), reverse=True)[:GALLERY_SIZE]
    assert [m.confidence for m in evaluation.most_confident_mistakes] == surest
    farthest = sorted((row["edits"] for row in wrong), reverse=True)[:GALLERY_SIZE]
    assert [m.edits for m in evaluation.most_distant_mistakes] == farthest
    assert all(m.picture.startswith(b"\xff\xd8\xff") for m in evaluation.most_distant_mistakes)


def test_confusions_are_the_edits_of_all_readings(
    evaluated: tuple[Evaluation, Path, list[Progress]],
) -> None:
    evaluation, folder, _ = evaluated
    rows = pq.read_table(folder).to_pylist()
    read = [row for row in rows if row["log_probability"] is not None]
    assert evaluation.confusions.total() == sum(row["edits"] for row in read)


def test_calibration_comes_from_log_probabilities(
    evaluated: tuple[Evaluation, Path, list[Progress]],
) -> None:
    evaluation, folder, _ = evaluated
    rows = [r for r in pq.read_table(folder).to_pylist() if r["log_probability"] is not None]
    assert [CALIBRATION.apply(r["log_probability"]) for r in rows] == [
        r["confidence"] for r in rows
    ]
    expected = calibration.fit([r["log_probability"] for r in rows], [r["exact"] for r in rows])
    assert evaluation.fit_calibration() == expected
    assert evaluation.calibration == CALIBRATION
    assert sum(b.count for b in evaluation.confidence_bins) == len(rows)


def test_progress_ends_with_everything(
    evaluated: tuple[Evaluation, Path, list[Progress]],
) -> None:
    evaluation, _, seen = evaluated
    assert [p.samples for p in seen] == sorted(p.samples for p in seen)
    assert (seen[-1].samples, seen[-1].rows) == (evaluation.total.count, seen[-1].total_rows)
    assert seen[-1].seconds_left == 0


def test_held_out_share_and_limit_choose_samples(
    local_ray: None, cases: tuple[str, dict[str, str], list[Sample]], tmp_path: Path
) -> None:
    bundle, sets, rows = cases
    first = {"one": sets["first <set>"]}
    expected = {row["id"] for row in rows if is_held_out(row["id"], 0.4)}
    assert 5 < len(expected) < len(rows)
    evaluate(bundle, first, held_out_share=0.4, predictions_uri=str(tmp_path / "all"))
    assert set(pq.read_table(tmp_path / "all")["id"].to_pylist()) == expected
    limited = evaluate(
        bundle, first, held_out_share=0.4, limit=5, predictions_uri=str(tmp_path / "five")
    )
    assert limited.total.count == 5
    assert set(pq.read_table(tmp_path / "five")["id"].to_pylist()) < expected
    with pytest.raises(DataError, match="held-out share of 1e-09"):
        evaluate(bundle, first, held_out_share=1e-9)


def test_lexicon_decoder_reads_only_words_of_the_list(
    local_ray: None, cases: tuple[str, dict[str, str], list[Sample]], tmp_path: Path
) -> None:
    bundle, sets, _ = cases
    words = ["1", "22", "345"]
    outcome = evaluate(
        bundle, {"s": sets["second"]}, decoder=None, lexicon=words, predictions_uri=str(tmp_path)
    )
    assert (outcome.decoder, outcome.lexicon_words) == ("lexicon", 3)
    assert set(pq.read_table(tmp_path)["text"].to_pylist()) <= set(words)


def test_a_damaged_shard_ends_in_the_error_that_names_it(
    local_ray: None, cases: tuple[str, dict[str, str], list[Sample]], tmp_path: Path
) -> None:
    uri = write_set(tmp_path / "set", digits(20, seed=3))
    shard = tmp_path / "set" / "shard-000.parquet"
    data = bytearray(shard.read_bytes())
    data[200:260] = bytes(60)
    shard.write_bytes(data)
    with pytest.raises(DataError, match=r"shard-000\.parquet"):
        evaluate(cases[0], {"s": uri}, predictions_uri=str(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("*"))


def test_bad_input_is_refused_before_anything_runs(
    cases: tuple[str, dict[str, str], list[Sample]], tmp_path: Path
) -> None:
    bundle, sets, _ = cases
    with pytest.raises(DataError, match="nowhere"):
        evaluate(bundle, {"s": str(tmp_path / "nowhere")})
    with pytest.raises(BundleError, match="no such bundle"):
        evaluate(str(tmp_path / "nothing"), sets)
    with pytest.raises(ValueError, match="decoder is 'magic'"):
        evaluate(bundle, sets, decoder="magic")
    with pytest.raises(ValueError, match="engine is 'magic'"):
        evaluate(bundle, sets, engine="magic")
    with pytest.raises(ValueError, match="held_out_share is 2"):
        evaluate(bundle, sets, held_out_share=2)
    with pytest.raises(ValueError, match="limit is -1"):
        evaluate(bundle, sets, limit=-1)
    with pytest.raises(ValueError, match="no set"):
        evaluate(bundle, {})
    letters = [{**row, "text": "abc"} for row in digits(3, seed=4)]
    with pytest.raises(CharsetError, match="none of the characters"):
        evaluate(bundle, {"s": write_set(tmp_path / "letters", letters)})


def test_a_shard_of_another_size_is_noticed_at_once(
    cases: tuple[str, dict[str, str], list[Sample]], tmp_path: Path
) -> None:
    uri = write_set(tmp_path / "set", digits(20, seed=3))
    shard = tmp_path / "set" / "shard-000.parquet"
    shard.write_bytes(shard.read_bytes()[:500])
    with pytest.raises(DataError, match="cut short"):
        evaluate(cases[0], {"s": uri})


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=8), st.integers(1, 40))
def test_cut_pieces_cover_every_row_once(groups: list[int], parallel: int) -> None:
    pieces = [
        Piece(set="s", uri="u", shard="x", index=index, start=0, stop=rows)
        for index, rows in enumerate(groups)
    ]
    parts = cut(pieces, parallel)
    rows = [(part.index, row) for part in parts for row in range(part.start, part.stop)]
    assert rows == [(index, row) for index, n in enumerate(groups) for row in range(n)]
    assert len(parts) == len(pieces) or min(part.rows for part in parts) >= min(
        *groups, 2 * LEAST_ROWS // 3
    )


@given(st.integers(1, 80))
def test_a_limit_takes_exactly_so_many(limit: int) -> None:
    pieces = plan_set("s", PLANNED, load_manifest(PLANNED), held_out_share=0.0, limit=limit)
    assert sum(piece.rows for piece in pieces) == min(limit, 50)


@pytest.fixture(scope="module", autouse=True)
def planned_set(tmp_path_factory: pytest.TempPathFactory) -> None:
    global PLANNED
    PLANNED = write_set(tmp_path_factory.mktemp("plan"), digits(50, seed=8), row_group_rows=7)


PLANNED = ""


@given(st.text(max_size=12), st.text(max_size=12))
def test_confusions_count_the_edits(label: str, text: str) -> None:
    found = confusions(label, text)
    assert len(found) == score(text, label).edits
    missed = sum(not read for _, read in found)
    extra = sum(not expected for expected, _ in found)
    assert len(normalise(label)) - missed + extra == len(normalise(text))
    assert all(expected != read for expected, read in found)


def test_confusions_of_known_texts() -> None:
    assert confusions("0a1", "Oa1") == [("0", "O")]
    assert confusions("book", "bok") == [("o", "")]
    assert confusions("bok", "book") == [("", "o")]


@given(st.permutations(range(60)), st.integers(1, 59))
def test_tallies_add_up_in_any_order(order: list[int], split: int) -> None:
    total = ReadingTally()
    for part in (order[:split], order[split:]):
        mistakes = [mistake(number) for number in part]
        tally = ReadingTally(
            sums={("s", 3): Sums(count=len(part), edits=sum(part))},
            confusions=Counter({("a", "b"): len(part)}),
            problems=Counter({("s", "r"): len(part)}),
            confident=worst_confident(mistakes),
        )
        tally.keep_examples(
            OutOfReach(set="s", id=str(number), label="", reason="r", message="") for number in part
        )
        total.add(tally)
    assert total.sums == {("s", 3): Sums(count=60, edits=sum(range(60)))}
    assert total.confusions == {("a", "b"): 60}
    assert total.confident == worst_confident(mistake(number) for number in range(60))
    assert len(total.examples) == EXAMPLES


@given(st.text(), st.floats(0, 1))
def test_held_out_grows_with_its_share(sample_id: str, share: float) -> None:
    assert not is_held_out(sample_id, 0.0)
    assert is_held_out(sample_id, 1.0)
    assert is_held_out(sample_id, share) <= is_held_out(sample_id, min(1.0, share + 0.1))


def test_held_out_share_is_about_the_share() -> None:
    count = sum(is_held_out(f"sample-{i}", 0.05) for i in range(20_000))
    assert math.isclose(count, 1000, rel_tol=0.15)
