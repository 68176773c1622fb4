"""``model.safetensors``: a bundle's weights, and the charset that says what its classes mean."""

from __future__ import annotations

import safetensors.torch
import torch

from crnn.bundle.json_file import BUNDLE_FILE
from crnn.errors import BundleError
from crnn.model.network import CRNN
from crnn.text.charset import Charset, shown

WEIGHTS_FILE = "model.safetensors"
_HEAD = "head.weight"


def weights_file(model: CRNN, charset: Charset, *, float16: bool) -> bytes:
    """The weights file: one metadata entry only, because several have no stable order."""
    state = {}
    for name, tensor in model.state_dict().items():
        kept = tensor.detach().to("cpu", copy=True).contiguous()
        half = kept.half() if float16 and kept.is_floating_point() and kept.dim() > 1 else kept
        state[name] = half if bool(torch.isfinite(half).all()) else kept
    return safetensors.torch.save(state, metadata={"charset": charset.characters})


def check_charset(
    uri: str, state: dict[str, torch.Tensor], metadata: dict[str, str], charset: Charset
) -> None:
    """Raise BundleError unless the weights of the bundle at ``uri`` are for ``charset``."""
    rows = state[_HEAD].shape[0] if _HEAD in state else None
    if rows != charset.num_classes:
        raise BundleError(
            f"{uri}: the weights have {rows} classes, the charset in {BUNDLE_FILE} makes "
            f"{charset.num_classes} ({len(charset.characters)} characters and the blank)"
        )
    if metadata.get("charset") != charset.characters:
        raise BundleError(
            f"{uri}: the weights were trained for another charset than {BUNDLE_FILE} states, "
            f"{_difference(metadata.get('charset') or '', charset.characters)}; class ids would "
            "mean other characters"
        )


def _difference(left: str, right: str) -> str:
    """Where two charsets begin to differ, and how."""
    pairs = zip(left, right, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
    return f"from place {place}: {shown(left[place:])} against {shown(right[place:])}"
