"""Every decoder that there is can be asked for: in bulk jobs, in OpenAPI, in ``--help``."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from crnn.decode import DECODERS
from crnn.shared_settings import DECODED_BY, DecoderName
from jobs.serving.bulk.documents import job_in
from jobs.serving.contract import schemas
from jobs.serving.problems import ProblemError

JSON = {b"content-type": b"application/json"}


def asked(decoder: str) -> str | None:
    lexicon = {"lexicon": ["a"]} if decoder == "lexicon" else {}
    options = {"decoder": decoder} | lexicon
    body = json.dumps({"input": "a", "output": "b", "options": options}).encode()
    return job_in(body, JSON)["options"]["decoder"]


def test_the_names_are_those_of_the_decoders() -> None:
    assert list(get_args(DecoderName)) == sorted(DECODERS)
    assert all(name in DECODED_BY for name in DECODERS)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_bulk_job_takes_every_decoder(decoder: str) -> None:
    assert asked(decoder) == decoder


def test_openapi_says_so_and_another_decoder_is_refused_with_their_names() -> None:
    choices = schemas()["JobOptions"]["properties"]["decoder"]["anyOf"]
    assert {"type": "string", "enum": sorted(DECODERS)} in choices
    with pytest.raises(ProblemError, match=r"options\.decoder is \'magic\'; expected .*'fusion'"):
        asked("magic")
