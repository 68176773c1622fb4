"""Every decoder gives right-to-left texts in logical order, each character with its own place."""

from __future__ import annotations

import pytest
import torch

from crnn.decode import CharNgram, Decoded, build_decoder
from crnn.text.charset import Charset
from tests.crnn.readings import sharp

CHARSET = Charset("אבגדabc12 ()")
LINE = "אבג ab 12"
OTHERS = ["אבג ba 12", "גבא ab 12", "12"]


def path(text: str, charset: Charset = CHARSET) -> list[int]:
    """A class id at every other time step, in the order of the picture."""
    return [step for class_id in charset.encode(text) for step in (class_id, 0)]


def columns(decoded: Decoded) -> dict[str, tuple[float, float]]:
    return dict(zip(decoded.text, decoded.char_steps, strict=True))


@pytest.mark.parametrize("name", ["greedy", "beam", "lexicon"])
def test_texts_and_characters_come_in_logical_order(name: str) -> None:
    decode = build_decoder(name, lexicon=[LINE, *OTHERS] if name == "lexicon" else None)
    (decoded,) = decode(sharp(path(LINE), CHARSET), CHARSET)
    assert decoded.text == LINE
    found = columns(decoded)
    assert found["a"][0] == 0 and found["b"][0] == 2  # the picture says: ab 12 גבא
    assert found["1"][0] == 6 and found["2"][0] == 8
    assert found["ג"][0] == 12 and found["ב"][0] == 14 and found["א"][0] == 16
    assert all(end == first + 1 for first, end in decoded.char_steps)
    assert decoded.char_probabilities == pytest.approx([0.9] * len(LINE))


def test_each_character_keeps_its_probability() -> None:
    log_probs_TNC = sharp(path("אבג"), CHARSET)
    weak = sharp(path("אבג"), CHARSET, probability=0.6)
    log_probs_TNC[0] = weak[0]  # the leftmost one: the text's last
    (decoded,) = build_decoder("greedy")(log_probs_TNC, CHARSET)
    assert decoded.text == "אבג"
    assert decoded.char_probabilities == pytest.approx([0.9, 0.9, 0.6])


def test_lines_of_both_directions_share_a_batch() -> None:
    texts = ["abc12", "אבגד1", "", "(אב)"]
    steps = max(len(path(text)) for text in texts)
    batch = [sharp([*path(t), *[0] * (steps - len(path(t)))], CHARSET) for t in texts]
    decoded = build_decoder("greedy")(torch.cat(batch, dim=1), CHARSET)
    assert [one.text for one in decoded] == texts
    assert decoded[0].char_steps == ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))
    assert decoded[1].char_steps == ((8, 9), (6, 7), (4, 5), (2, 3), (0, 1))


def test_a_lexicon_s_word_comes_back_as_it_was_given() -> None:
    word = "אב 12 ab"  # looks the same as אב ab 12, which is what no lexicon would read
    log_probs_TNC = sharp(path(word), CHARSET)
    assert build_decoder("greedy")(log_probs_TNC, CHARSET)[0].text == "אב ab 12"
    (decoded,) = build_decoder("lexicon", lexicon=["אב", word])(log_probs_TNC, CHARSET)
    assert decoded.text == word
    assert columns(decoded)["1"][0] == 6 and columns(decoded)["a"][0] == 0


def test_a_word_too_long_for_its_picture_keeps_its_order() -> None:
    (decoded,) = build_decoder("lexicon", lexicon=["אבגד"])(sharp([1, 1], CHARSET), CHARSET)
    assert decoded.text == "אבגד"
    assert decoded.char_steps == ((1.5, 2.0), (1.0, 1.5), (0.5, 1.0), (0.0, 0.5))


def test_an_ngram_is_asked_about_the_logical_text() -> None:
    ngram = CharNgram.train(["אבג"] * 50 + ["דבג"] * 2, order=3, characters=CHARSET.characters)
    steps = path("אבג")
    log_probs_TNC = sharp(steps, CHARSET)
    first = CHARSET.ids_of("אד")
    log_probs_TNC[4, 0, :] = -12.0  # the rightmost letter, the first of the text, is in doubt
    log_probs_TNC[4, 0, first] = torch.tensor([0.48, 0.52]).log()
    assert build_decoder("beam")(log_probs_TNC, CHARSET)[0].text == "דבג"
    assert build_decoder("beam", ngram=ngram)(log_probs_TNC, CHARSET)[0].text == "אבג"


def test_a_piece_of_a_text_has_no_begin_in_its_history() -> None:
    ngram = CharNgram.train(["ab", "cb", "ab"], order=2)
    whole = ngram.text_log_probability("ab")
    assert ngram.piece_log_probability("ab") == pytest.approx(
        whole
        - ngram.end_log_probability("ab")
        - ngram.log_probability("a", "")
        + ngram.piece_log_probability("a")
    )


def test_a_charset_of_logical_order_is_read_as_it_stands() -> None:
    logical = Charset(CHARSET.characters, "logical")
    (decoded,) = build_decoder("greedy")(sharp(path("אבג", logical), logical), logical)
    assert decoded.text == "אבג" and decoded.char_steps == ((0, 1), (2, 3), (4, 5))
