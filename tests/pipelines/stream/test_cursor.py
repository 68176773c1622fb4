import json

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stream.cursor import Cursor

marks = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), max_size=40)


@settings(deadline=None)
@given(marks, st.permutations(range(40)))
def test_order_and_repetition_of_arrivals_do_not_matter(
    arrived: list[tuple[int, int]], order: list[int]
) -> None:
    batches = [(chunk, batch, 7) for chunk, batch in arrived]
    one, other = Cursor(), Cursor()
    one.add(batches)
    other.add(batches[i] for i in order if i < len(batches))
    other.add(batches)
    assert one == other


@settings(deadline=None)
@given(marks)
def test_the_state_survives_json(arrived: list[tuple[int, int]]) -> None:
    cursor = Cursor(epoch=3)
    cursor.add((chunk, batch, 7) for chunk, batch in arrived)
    assert Cursor.from_state_dict(json.loads(json.dumps(cursor.state_dict()))) == cursor


def test_a_chunk_is_finished_with_its_last_batch() -> None:
    cursor = Cursor()
    cursor.add([(0, 0, 3), (0, 2, 3)])
    assert not cursor.finished(0)
    cursor.add([(0, 1, 3)])
    assert cursor.finished(0)
    assert not cursor.finished(1)
