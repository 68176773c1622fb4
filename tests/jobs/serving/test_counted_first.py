"""Nothing is made of what a request has too much of: it is counted first, and refused."""

from __future__ import annotations

import base64
import json
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.errors import PictureError
from crnn.kept import Kept
from jobs.serving.asked import asked_in, check_options, decoded_base64, most_values, words_in
from jobs.serving.bodies import check_size, digits
from jobs.serving.bulk.documents import job_in
from jobs.serving.limits import Limits
from jobs.serving.problems import ProblemError
from jobs.serving.tensors import asked_tensors

LIMITS = Limits()
PICTURE = b"any bytes"
TEXT = base64.b64encode(PICTURE).decode()
JSON = {b"content-type": b"application/json"}
MANY = 1_500_000
LINES = r"a\n" * MANY


def form(*parts: tuple[str, bytes]) -> tuple[bytes, dict[bytes, bytes]]:
    body = b"".join(
        b"--b\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), data)
        for head, data in parts
    )
    return body + b"--b--\r\n", {b"content-type": b"multipart/form-data; boundary=b"}


def v1(body: bytes, headers: dict[bytes, bytes] = JSON) -> object:
    asked = asked_in(body, headers, b"", LIMITS)
    check_options(asked.options, LIMITS)
    return asked


def v2(body: bytes, behind: bytes = b"") -> object:
    asked = asked_tensors(body + behind, str(len(body)).encode() if behind else None, LIMITS)
    check_options(asked.options, LIMITS)
    return asked


def tensor(shape: str, data: str = "[]", parameters: str = "{}") -> bytes:
    head = f'{{"name": "image", "datatype": "BYTES", "shape": {shape}, "data": {data}}}'
    return f'{{"inputs": [{head}], "parameters": {parameters}}}'.encode()


def binary(shape: list[int], behind: bytes) -> tuple[bytes, bytes]:
    found = {"name": "image", "datatype": "BYTES", "shape": shape,
             "parameters": {"binary_data_size": len(behind)}}  # fmt: skip
    return json.dumps({"inputs": [found]}).encode(), behind


def texts(count: int) -> str:
    return "[" + ",".join(['"ab"'] * count) + "]"


LARGE: dict[str, tuple[Callable[[], object], str]] = {
    "v1, images": (lambda: v1(b'{"images": [' + b"{}," * MANY + b"{}]}"), "too_many_pictures"),
    "v1, words": (
        lambda: v1(b'{"images": [], "options": {"lexicon": %s}}' % texts(MANY).encode()),
        "too_many_pictures",
    ),
    "v1, lists in lists": (lambda: v1(b'{"images": ' + b"[[[1]]]," * MANY), "too_many_pictures"),
    "v1, objects in objects": (lambda: v1(b'{"a":{"b":1}}' * MANY), "too_many_pictures"),
    "v1, options of a form": (
        lambda: v1(*form(('name="options"', b'{"lexicon": ' + texts(MANY).encode() + b"}"))),
        "too_many_pictures",
    ),
    "v1, a lexicon of a form": (
        lambda: v1(*form(('name="lexicon"', b"a\n" * MANY),
                         ('name="files"; filename="a"', PICTURE))),
        "invalid",
    ),
    "v1, files": (
        lambda: v1(*form(*[('name="files"; filename="a"', b"")] * 5000)), "too_many_pictures"
    ),
    "v2, texts": (lambda: v2(tensor(f"[{MANY}]", texts(MANY))), "too_many_pictures"),
    "v2, a shape": (lambda: v2(tensor(f"[{'1,' * MANY}1]")), "too_many_pictures"),
    "v2, a shape of dimensions": (lambda: v2(tensor(f"[{'1,' * 30_000}1]")), "invalid"),
    "v2, a shape of many": (lambda: v2(tensor(f"[{1 << 30}, {1 << 30}]")), "too_many_pictures"),
    "v2, other texts than its shape": (lambda: v2(tensor("[2]", texts(20_000))), "invalid"),
    "v2, elements": (lambda: v2(*binary([MANY], bytes(4 * MANY))), "too_many_pictures"),
    "v2, other elements than its shape": (lambda: v2(*binary([2], bytes(4 * MANY))), "invalid"),
    "v2, words": (
        lambda: v2(tensor("[1]", '["QQ=="]', f'{{"lexicon": "{LINES}"}}')), "invalid"
    ),
    "bulk, words": (
        lambda: job_in(b'{"options": {"lexicon": %s}}' % texts(MANY).encode(), JSON),
        "too_many_pictures",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_what_is_too_much_is_refused_before_there_is_any_of_it(name: str) -> None:
    """Bodies take up to 20 MB, and are there already; a list of so many would take hundreds."""
    ask, code = LARGE[name]
    tracemalloc.start()
    try:
        with pytest.raises(ProblemError) as caught:
            ask()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.problem.code == code, caught.value
    assert peak < 80 << 20, f"{peak >> 20} MiB"


def test_the_most_that_is_taken_is_taken() -> None:
    images = [{"id": f"picture, number {i}", "data": TEXT} for i in range(LIMITS.pictures)]
    words = [f"{i},000 [or so]" for i in range(LIMITS.lexicon_words)]
    body = json.dumps({"images": images, "options": {"lexicon": words, "chars": False}}).encode()
    asked = asked_in(body, JSON, b"", LIMITS)
    assert list(asked.pictures) == [PICTURE] * LIMITS.pictures
    assert asked.options["lexicon"] == words
    lines = json.dumps("\n".join(words))
    data = json.dumps([TEXT] * LIMITS.pictures)
    tensors = asked_tensors(
        tensor(f"[{LIMITS.pictures}]", data, f'{{"lexicon": {lines}}}'), None, LIMITS
    )
    assert tensors.pictures == [PICTURE] * LIMITS.pictures
    assert tensors.options["lexicon"] == words
    bulk = {"input": "a", "output": "b", "options": {"lexicon": ["1,0"] * 100_000}}
    assert job_in(json.dumps(bulk).encode(), JSON)["input"] == "a"
    assert most_values(pictures=1, words=1) < most_values(pictures=2, words=2)


@pytest.mark.parametrize(
    ("value", "number"),
    [(b"0" * 5000, 0), (b"0" * 5000 + b"7", 7), (b"9" * 5000, 10**18), (b"12", 12),
     (b"", None), (b"-1", None), (b"1_0", None), (b" 1", None), ("²".encode("latin-1"), None)],
)  # fmt: skip
def test_numbers_of_headers(value: bytes, number: int | None) -> None:
    assert digits(value) == number


def test_a_length_of_many_digits_is_no_failure() -> None:
    for length in (b"0" * 5000, b"9" * 5000):
        with pytest.raises(ProblemError) as caught:
            asked_tensors(b"{}", length, LIMITS)
        assert caught.value.problem.status == 400
    body = tensor("[1]", f'["{TEXT}"]')
    stated = str(len(body)).zfill(5000).encode()
    assert asked_tensors(body, stated, LIMITS).pictures == [PICTURE]
    with pytest.raises(ProblemError) as caught:
        check_size({b"content-length": b"9" * 5000}, 1 << 20)
    assert caught.value.problem.code == "too_large"
    check_size({b"content-length": b"0" * 5000 + b"1"}, 1 << 20)


@given(st.text(alphabet="ab \t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029c"))
def test_words_are_the_lines_that_say_something(text: str) -> None:
    assert words_in(text, 10_000) == list(filter(None, map(str.strip, text.splitlines())))
    assert words_in(text, 2) == words_in(text, 10_000)[:3]


@pytest.mark.parametrize("prefix", ["data:image/png;base64,", "DATA:image/JPEG;base64,",
                                    "data:;base64,", "data:image/png;name=a;base64,"])  # fmt: skip
def test_a_data_url_is_a_picture(prefix: str) -> None:
    head, _, rest = prefix.partition(":")
    for written in (f"{head.lower()}:{rest}", prefix, f"{head}:{rest.upper()}"):
        assert decoded_base64(written + TEXT) == PICTURE
    body = json.dumps({"images": [{"data": prefix.lower() + TEXT}]}).encode()
    assert list(asked_in(body, JSON, b"", LIMITS).pictures) == [PICTURE]
    assert asked_tensors(tensor("[1]", json.dumps([prefix.lower() + TEXT])), None, LIMITS).pictures


def test_base64_of_another_alphabet_is_told() -> None:
    error = decoded_base64("-_-_")
    assert isinstance(error, PictureError)
    assert "expected letters, digits, + and / (not - and _)" in str(error)


@pytest.mark.parametrize("data", ["data:image/png,abc", "data:", "data:;base64;" + TEXT, "data:a"])
def test_another_url_is_said_to_be_one(data: str) -> None:
    error = decoded_base64(data)
    assert isinstance(error, PictureError)
    assert error.reason == "bad_base64" and "data:image/png;base64," in str(error)


@pytest.mark.parametrize("name", ["file", "image", "images", "files[]", "picture"])
@pytest.mark.parametrize("data", [b"\x89PNG\r\n", b"ascii"])
def test_a_file_in_another_field_is_told_the_right_one(name: str, data: bytes) -> None:
    body, headers = form((f'name="{name}"; filename="a.png"', data))
    with pytest.raises(ProblemError) as caught:
        asked_in(body, headers, b"", LIMITS)
    problem = caught.value.problem
    assert problem.code == "invalid"
    assert f"a file in the field {name!r}" in problem.detail and "-F files=@" in problem.detail


def test_fields_that_are_no_files_are_said_as_before() -> None:
    body, headers = form(('name="files"; filename="a"', PICTURE), ('name="imgae"', b"a"))
    with pytest.raises(ProblemError, match="the form has 'imgae'; expected files, chars"):
        asked_in(body, headers, b"", LIMITS)
    body, headers = form(('name="files"; filename="a"', PICTURE), ('name="decoder"', b"\xff"))
    with pytest.raises(ProblemError, match="the field 'decoder' is not UTF-8"):
        asked_in(body, headers, b"", LIMITS)
    body, headers = form(('name="files"; filename="a"', PICTURE),
                         ('name="options"; filename="o.json"', b'{"chars": false}'))  # fmt: skip
    assert not asked_in(body, headers, b"", LIMITS).options["chars"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12))))
def test_what_is_kept_is_the_last_used_and_within_its_bytes(uses: list[tuple[int, int]]) -> None:
    kept, model = Kept[int, int](20), list[tuple[int, int]]()
    for key, size in uses:
        found = kept.get(key)
        had = dict(model).get(key)
        assert found == had
        model = [entry for entry in model if entry[0] != key]
        if had is None:
            kept.keep(key, size, size)
        model.append((key, size if had is None else had))
        while sum(size for _, size in model) > 20:
            model.pop(0)
        assert kept.bytes == sum(size for _, size in model) <= 20


def test_what_is_larger_than_all_may_be_is_not_kept() -> None:
    kept = Kept[str, str](10)
    kept.keep("small", "a", 4)
    kept.keep("large", "b", 11)
    assert (kept.get("small"), kept.get("large"), kept.bytes) == ("a", None, 4)
    kept.clear()
    assert (kept.get("small"), kept.bytes) == (None, 0)
