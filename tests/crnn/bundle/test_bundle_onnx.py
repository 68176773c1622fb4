"""The ONNX model in a bundle: kept beside the weights it was proven for, or refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crnn.bundle.bundle import BUNDLE_FILE, load_bundle
from crnn.bundle.changes import keep_onnx, keep_reduced
from crnn.bundle.json_file import CARD_FILE
from crnn.bundle.onnx_file import ONNX_FILE
from crnn.bundle.reduced import Loss
from crnn.errors import BundleError
from tests.crnn.tiny_bundle import METRICS, ONNX, edit, save


def test_an_onnx_model_travels_with_the_bundle_and_changes_nothing_else(tmp_path: Path) -> None:
    digest = save(tmp_path)
    plain = load_bundle(tmp_path)
    assert plain.onnx is None
    for data in (b"a graph", b"another graph"):
        onnx = replace(ONNX, data=data)
        keep_onnx(tmp_path, plain, onnx)
        bundle = load_bundle(tmp_path)
        assert (bundle.onnx, bundle.digest, bundle.metrics) == (onnx, digest, METRICS)
        assert load_bundle(tmp_path, with_onnx=False).onnx is None
    card = (tmp_path / CARD_FILE).read_text()
    assert "model.onnx" in card and "1,000 pictures" in card and "onnx 1.32" in card


def test_a_bundle_with_an_onnx_model_can_be_pickled(tmp_path: Path) -> None:
    save(tmp_path)
    keep_onnx(tmp_path, load_bundle(tmp_path), ONNX)
    bundle = load_bundle(tmp_path)
    again = pickle.loads(pickle.dumps(bundle))
    assert (again.onnx, again.digest) == (ONNX, bundle.digest)


def test_saving_again_leaves_no_onnx_model_of_other_weights(tmp_path: Path) -> None:
    save(tmp_path)
    keep_onnx(tmp_path, load_bundle(tmp_path), ONNX)
    save(tmp_path)
    assert not (tmp_path / ONNX_FILE).exists()
    assert load_bundle(tmp_path).onnx is None


def test_an_onnx_file_that_nobody_names_is_not_believed(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / ONNX_FILE).write_bytes(b"left over")
    assert load_bundle(tmp_path).onnx is None


def test_an_onnx_model_is_kept_only_beside_the_weights_it_was_proven_for(tmp_path: Path) -> None:
    first = save(tmp_path)
    bundle = load_bundle(tmp_path)
    second = save(tmp_path)
    with pytest.raises(BundleError, match=f"(?s){second}.*{first}"):
        keep_onnx(tmp_path, bundle, ONNX)
    assert load_bundle(tmp_path).onnx is None
    assert not (tmp_path / ONNX_FILE).exists()


def test_a_changed_onnx_file_is_refused_with_both_digests_and_the_remedy(tmp_path: Path) -> None:
    save(tmp_path)
    keep_onnx(tmp_path, load_bundle(tmp_path), ONNX)
    (tmp_path / ONNX_FILE).write_bytes(b"a grapf")
    found, stated = (hashlib.sha256(data).hexdigest() for data in (b"a grapf", ONNX.data))
    with pytest.raises(BundleError, match=f"(?s){found}.*{stated}.*jobs/export.py --bundle"):
        load_bundle(tmp_path)
    assert load_bundle(tmp_path, with_onnx=False).onnx is None
    (tmp_path / ONNX_FILE).unlink()
    with pytest.raises(BundleError, match=f"names {ONNX_FILE} but doesn't have it.*jobs/export.py"):
        load_bundle(tmp_path)


def test_an_onnx_entry_of_other_weights_is_refused_with_both_digests(tmp_path: Path) -> None:
    digest = save(tmp_path)
    keep_onnx(tmp_path, load_bundle(tmp_path), ONNX)
    entry = json.loads((tmp_path / BUNDLE_FILE).read_text())["onnx"]
    edit(tmp_path, onnx={**entry, "weights_sha256": "0" * 64})
    with pytest.raises(BundleError, match=f"(?s)0000.*{digest}.*jobs/export.py"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"file": "../model.onnx"}, {"proof": None}, {"proof": {"pictures": 1}}, {"sha256": None}],
)
def test_an_onnx_entry_that_makes_no_sense_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    save(tmp_path)
    keep_onnx(tmp_path, load_bundle(tmp_path), ONNX)
    entry = json.loads((tmp_path / BUNDLE_FILE).read_text())["onnx"]
    for bad in ({**entry, **change}, "model.onnx", []):
        edit(tmp_path, onnx=bad)
        with pytest.raises(BundleError, match=r"jobs/export\.py"):
            load_bundle(tmp_path)


LOSS = Loss(
    release="2.15",
    pictures=1000,
    changed=12,
    right=900,
    right_reduced=897,
    max_confidence_difference=0.02,
)


def test_what_engines_lose_is_kept_beside_the_weights_it_was_measured_on(tmp_path: Path) -> None:
    digest = save(tmp_path)
    bundle = load_bundle(tmp_path)
    assert bundle.reduced == {}
    keep_reduced(tmp_path, bundle, {"torch-bf16": LOSS})
    keep_onnx(tmp_path, bundle, ONNX)
    more = replace(LOSS, changed=11)
    keep_reduced(tmp_path, bundle, {"openvino-bf16": more})
    found = load_bundle(tmp_path)
    assert (found.reduced, found.onnx) == ({"torch-bf16": LOSS, "openvino-bf16": more}, ONNX)
    assert found.digest == digest
    card = (tmp_path / CARD_FILE).read_text()
    assert "| Engine torch-bf16 | in 2.15, 12 of 1,000 texts differ" in card
    assert "89.70% right, 90.00% in float32" in card
    save(tmp_path)
    assert load_bundle(tmp_path).reduced == {}
    with pytest.raises(BundleError, match="the loss was measured for"):
        keep_reduced(tmp_path, bundle, {"torch-bf16": LOSS})


@pytest.mark.parametrize("entry", [{"torch-bf16": {"pictures": 1}}, {"torch-bf16": 3}, "fast"])
def test_a_loss_that_makes_no_sense_is_refused(tmp_path: Path, entry: Any) -> None:
    save(tmp_path)
    edit(tmp_path, reduced=entry)
    with pytest.raises(BundleError, match="save the bundle again"):
        load_bundle(tmp_path)
