"""Forms: every byte comes through, odd names fail nobody, and what is no form is refused."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jobs.serving.multipart import FormPart, parts_of
from jobs.serving.problems import ProblemError

TYPE = b"multipart/form-data; boundary=b"


def form(*parts: tuple[bytes, bytes]) -> bytes:
    """A body of parts: what follows ``Content-Disposition: ``, and data."""
    written = [b"--b\r\nContent-Disposition: %s\r\n\r\n%s\r\n" % part for part in parts]
    return b"".join([*written, b"--b--\r\n"])


FILE = b'form-data; name="files"; filename="a.png"'


@given(st.lists(st.lists(st.sampled_from([b"\r", b"\n", b"-", b"b", b"--b", b"\x00"])), max_size=5))
def test_data_comes_through_whatever_it_is(pieces: list[list[bytes]]) -> None:
    data = [b"x" + b"".join(piece) for piece in pieces]
    assume(not any(b"\r\n--b" in one for one in data))  # a sender takes another boundary
    expected = [FormPart("files", "a.png", one) for one in data]
    assert parts_of(form(*((FILE, one) for one in data)), TYPE, 5) == expected


@pytest.mark.parametrize(
    ("disposition", "name", "file_name"),
    [
        (b'form-data; name="chars"', "chars", ""),
        (b'form-data; name="files"; filename="%22a%22.png"', "files", '"a".png'),
        ('form-data; name="files"; filename="Größe.png"'.encode(), "files", "Größe.png"),
        (b'form-data; name="files"; filename="Gr\xf6\xdfe.png"', "files", "Gr\ufffd\ufffde.png"),
        (b"form-data; name=files; filename=a.png", "files", "a.png"),
        (rb'form-data; name="files"; filename="C:\pictures\a.png"', "files", "a.png"),
    ],
)
def test_names_as_clients_write_them(disposition: bytes, name: str, file_name: str) -> None:
    assert parts_of(form((disposition, b"data")), TYPE, 1) == [FormPart(name, file_name, b"data")]


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (form((FILE, b"data")), b"multipart/form-data", "malformed"),
        (form((FILE, b"data"))[:-6], TYPE, "malformed"),
        (form((b"attachment", b"data")), TYPE, "malformed"),
        (form((b"form-data", b"data")), TYPE, "malformed"),
        (b"--b\r\n\r\ndata\r\n--b--\r\n", TYPE, "malformed"),
        (form((FILE + b"\r\nX: " + b"a" * 10_000, b"data")), TYPE, "malformed"),
        (form((FILE + b"\r\nX: a" * 1000, b"data")), TYPE, "malformed"),
        (b"", TYPE, "malformed"),
        (form((FILE, b"1"), (FILE, b"2"), (FILE, b"3")), TYPE, "too_many_pictures"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, content_type: bytes, code: str) -> None:
    with pytest.raises(ProblemError) as caught:
        parts_of(body, content_type, 2)
    assert caught.value.problem.code == code
