"""Several trainings of one network → one bundle with the average of their weights.

python recipes/average.py OUT bundles/mobile=0.2 runs/latin/bundle=0.8
python recipes/average.py OUT bundles/mobile=0.2 runs/latin/bundle=0.8 --like runs/latin/bundle

A network that was trained on from another lies in the same valley of the loss: the mean of the two
often reads what either knows better than both (Wortsman et al. 2022, "Robust fine-tuning of
zero-shot models", and "Model soups", both arXiv). It costs no training. Rows of the output layer
are averaged by character, over the bundles that have it. Characters, pictures, reading policy and
language model are those of ``--like``, the first bundle by default. Choose the shares by labelled
pictures that you quote nothing of, then calibrate (``recipes/release.py`` does both).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crnn.bundle.bundle import Bundle, load_bundle, save_bundle
from crnn.bundle.transfer import HEAD
from crnn.text.charset import BLANK_ID, Charset


def share(text: str) -> tuple[str, float]:
    """The bundle and the share of ``BUNDLE=SHARE``."""
    uri, _, number = text.rpartition("=")
    if not uri or not 0 < float(number) < float("inf"):
        raise ValueError(text)
    return uri, float(number)


def average(
    bundles: Sequence[Bundle], shares: Sequence[float], charset: Charset
) -> dict[str, torch.Tensor]:
    """The mean of the networks' weights, and of their running statistics.

    Args:
        bundles: of one shape but for the output layer.
        shares: one a bundle; they need not add up to 1.
        charset: the characters of the result; each is in one of the bundles at least.

    Raises:
        ValueError: when the networks' shapes differ, or no bundle has one of the characters.
    """
    states = [bundle.network().state_dict() for bundle in bundles]
    if len({_shapes(state) for state in states}) > 1:
        raise ValueError("the bundles' networks differ; expected weights of one shape")
    rows = [_rows(bundle.charset, charset) for bundle in bundles]
    known = torch.stack(
        [amount * (row >= 0) for amount, row in zip(shares, rows, strict=True)]
    )  # of each bundle, how much it has to say of each class
    if not bool((known.sum(0) > 0).all()):
        lacking = [c for c, k in zip(charset.characters, known.sum(0)[1:], strict=True) if not k]
        raise ValueError(f"none of the bundles has {''.join(lacking)!r}")
    mean = {}
    for name, first in states[0].items():
        if not first.is_floating_point():
            mean[name] = first
        elif name in HEAD:
            pairs = zip(states, rows, known / known.sum(0), strict=True)
            of_classes = [
                state[name][row.clamp(min=0)] * part.reshape(-1, *[1] * (first.dim() - 1))
                for state, row, part in pairs
            ]
            mean[name] = torch.stack(of_classes).sum(0)
        else:
            whole = zip(states, shares, strict=True)
            parts = [state[name] * (amount / sum(shares)) for state, amount in whole]
            mean[name] = torch.stack(parts).sum(0)
    return mean


def _shapes(state: Mapping[str, torch.Tensor]) -> frozenset[tuple[str, torch.Size]]:
    """All names and shapes but those of the output layer."""
    return frozenset((name, each.shape) for name, each in state.items() if name not in HEAD)


def _rows(source: Charset, charset: Charset) -> torch.Tensor:
    """For each class of ``charset`` its row in a head for ``source``; -1: there is none."""
    places = {character: row for row, character in enumerate(source.characters, 1)}
    return torch.tensor([BLANK_ID, *(places.get(c, -1) for c in charset.characters)])


def main(arguments: argparse.Namespace) -> None:
    """Writes the bundle."""
    uris, shares = zip(*arguments.bundles, strict=True)
    like = load_bundle(arguments.like or uris[0], with_onnx=False)
    bundles = [load_bundle(uri, with_onnx=False) for uri in uris]
    network = like.network()
    network.load_state_dict(average(bundles, shares, like.charset))
    digest = save_bundle(
        arguments.out,
        model=network,
        charset=like.charset,
        picture=like.picture,
        reading=like.reading,
        decoder=like.decoder,
        calibration=like.calibration,
        fusion=like.fusion,
        name=like.name,
        data_digest=like.data_digest,
        metrics={},
        training=like.training,
    )
    print(f"{arguments.out} has the average of {len(bundles)} bundles; digest {digest}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", help="folder of the new bundle")
    parser.add_argument("bundles", nargs="+", type=share, metavar="BUNDLE=SHARE")
    parser.add_argument("--like", default="", help="the bundle that gives all but the weights")
    main(parser.parse_args())
