from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.errors import PictureError
from crnn.images.contract import PictureContract
from crnn.images.prepare import Prepared, prepare
from crnn.images.region import from_box
from crnn.images.sandbox.wire import (
    Cut,
    DecodeRequest,
    ReplyReader,
    Started,
    answers,
    pack_failed,
    pack_page,
    pack_pixels,
    pack_prepared,
    pack_ready,
    pack_requests,
    read_requests,
)
from crnn.pages.page import PageImage, PageRequest
from tests.crnn.poison import noise

CONTRACT = PictureContract()


def test_requests_come_out_as_they_went_in() -> None:
    box, page = from_box(1, 2, 3.5, 4), PageRequest(number=7, dpi=300, most_pages=9)
    parts = [None, box, page, Cut(None), Cut(box)]
    sent = [DecodeRequest(data=b"abc", parts=parts), DecodeRequest(data=b"", parts=[])]
    stream = io.BytesIO(pack_requests(sent) + pack_requests([]))
    assert read_requests(stream) == sent
    assert read_requests(stream) == []
    assert read_requests(stream) is None


@settings(max_examples=100, deadline=None)
@given(sent=st.binary(max_size=300), cut=st.integers(0, 300))
def test_what_a_hijacked_process_may_answer_is_read_or_refused(sent: bytes, cut: int) -> None:
    reader = ReplyReader(CONTRACT)
    try:
        replies = reader.feed(sent[:cut]) + reader.feed(sent[cut:])
    except ValueError:
        return
    for reply in replies:
        assert not isinstance(reply, Prepared) or reply.pixels.shape[1] in CONTRACT.widths
        assert not isinstance(reply, np.ndarray) or reply.size


@given(reason=st.text("abc_", min_size=1, max_size=20), message=st.text(max_size=400))
def test_errors_keep_their_reason_and_message(reason: str, message: str) -> None:
    [error] = ReplyReader(CONTRACT).feed(pack_failed(PictureError(reason, message)))
    assert isinstance(error, PictureError)
    written = message.encode("utf-8", "replace").decode("utf-8")
    assert (error.reason, str(error)) == (reason, written)


def test_replies_come_out_whole_however_they_are_cut() -> None:
    sent = prepare(noise(70, 30), CONTRACT)
    packed = b"".join([pack_ready(), *pack_prepared(sent), pack_failed(PictureError("a", "b"))])
    reader = ReplyReader(CONTRACT)
    replies = [reply for byte in packed for reply in reader.feed(bytes([byte]))]
    ready, found, error = replies
    assert isinstance(ready, Started) and isinstance(error, PictureError)
    assert isinstance(found, Prepared) and np.array_equal(found.pixels, sent.pixels)
    assert (found.source_width_px, found.content_width_px) == (70, 75)
    assert found.source_height_px == 30 and found.sideways_HwC is None


def test_a_tall_picture_brings_itself_turned_to_its_side() -> None:
    sent = prepare(noise(30, 90), CONTRACT)
    [found] = ReplyReader(CONTRACT).feed(b"".join(pack_prepared(sent)))
    assert isinstance(found, Prepared) and np.array_equal(found.pixels, sent.pixels)
    assert sent.sideways_HwC is not None and found.sideways_HwC is not None
    assert found.sideways_HwC.shape == (32, 96, 1)
    assert np.array_equal(found.sideways_HwC, sent.sideways_HwC)
    assert (found.source_width_px, found.source_height_px) == (30, 90)


def test_pages_come_out_whole_and_of_the_size_they_say() -> None:
    pixels = np.asarray(noise(9, 5))
    packed = b"".join(pack_page(PageImage(pixels=pixels, count=3)))
    [found] = ReplyReader(CONTRACT).feed(packed)
    assert isinstance(found, PageImage) and found.count == 3
    assert np.array_equal(found.pixels, pixels)
    with pytest.raises(ValueError, match="135 bytes; expected at most 120"):
        ReplyReader(CONTRACT, max_pixels=40).feed(packed)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pixels_come_out_whole_and_of_the_size_they_say(mode: str) -> None:
    pixels = np.asarray(noise(9, 6).convert(mode))
    part = pixels[1:, 2:8]
    for sent in (pixels, part):
        [found] = ReplyReader(CONTRACT).feed(b"".join(pack_pixels(sent)))
        assert isinstance(found, np.ndarray) and found.flags.writeable
        assert np.array_equal(found, sent)
    packed = b"".join(pack_pixels(pixels))
    with pytest.raises(ValueError, match="bytes; expected at most 30"):
        ReplyReader(CONTRACT, max_pixels=10).feed(packed)
    with pytest.raises(ValueError, match="bytes for 9x"):
        ReplyReader(CONTRACT).feed(packed[:9] + bytes([5]) + packed[10:])


def test_a_reply_is_of_the_kind_that_was_asked_for_or_an_error() -> None:
    pixels = np.asarray(noise(9, 6))
    prepared, page = prepare(noise(9, 6), CONTRACT), PageImage(pixels=pixels, count=1)
    of_kind = {None: prepared, Cut(None): pixels, PageRequest(): page}
    for part, fitting in of_kind.items():
        assert answers(PictureError("a", "b"), part) and not answers(Started(), part)
        assert [reply for reply in of_kind.values() if answers(reply, part)] == [fitting]
