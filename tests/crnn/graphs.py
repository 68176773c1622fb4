"""Small CTC recognizers of our own as ONNX graphs, in the many forms in which others export them.

Columns of 8 px are turned into features, and these into scores: without any training, but sharp
enough that different pictures give different texts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

STRIDE_PX = 8
FEATURES = 12


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a graph is built."""

    characters: str | tuple[str, ...] = "abcdefgh"
    """A class each, in this order."""
    blank_first: bool = True
    height: int = 32
    channels: int = 3
    width: int | str = "W"
    batch: int | str = "N"
    axes: str = "NTC"
    """Of the scores."""
    ends_in: str = "Softmax"
    """Operator at the end; empty: raw scores."""
    head: str = "MatMul"
    """``MatMul`` and ``Add``, or ``Einsum``, whose weights nobody looks for."""
    opset: int = 12
    metadata: dict[str, str] = field(default_factory=dict)
    channels_last: bool = False
    seed: int = 0

    @property
    def num_classes(self) -> int:
        return len(self.characters) + 1

    @property
    def blank(self) -> int:
        return [len(self.characters), 0][self.blank_first]


USUAL = Form()


def graph(form: Form = USUAL) -> bytes:
    """The file's bytes."""
    rng = np.random.default_rng(form.seed)
    height, channels = form.height, form.channels
    kernel = rng.normal(0, 1, (FEATURES, channels, height, STRIDE_PX))
    kernel /= np.sqrt(channels * height * STRIDE_PX) / 4
    head = rng.normal(0, 2, (FEATURES, form.num_classes))
    bias = np.zeros(form.num_classes)
    bias[form.blank] = 1.5
    weights = {"kernel": kernel, "head": head, "bias": bias}
    nodes, scores = _nodes(form)
    shape: list[int | str] = [form.batch, channels, height, form.width]
    if form.channels_last:
        shape = [form.batch, height, form.width, channels]
    sizes: dict[str, int | str] = {"N": form.batch, "T": "T", "C": form.num_classes}
    built = helper.make_graph(
        nodes,
        "recognizer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(
                scores, TensorProto.FLOAT, [sizes[axis] for axis in form.axes]
            )
        ],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    model = helper.make_model(
        built, opset_imports=[helper.make_opsetid("", form.opset)], ir_version=8
    )
    for key, value in form.metadata.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _nodes(form: Form) -> tuple[list[onnx.NodeProto], str]:
    picture = "x"
    nodes = []
    if form.channels_last:
        nodes.append(helper.make_node("Transpose", ["x"], ["NCHW"], perm=[0, 3, 1, 2]))
        picture = "NCHW"
    nodes += [
        helper.make_node("Conv", [picture, "kernel"], ["columns"], strides=[1, STRIDE_PX]),
        helper.make_node("Tanh", ["columns"], ["features"]),
        helper.make_node("ReduceSum" if form.opset < 13 else "ReduceMean", ["features"], ["NFT"],
                         axes=[2], keepdims=0),
        helper.make_node("Transpose", ["NFT"], ["NTF"], perm=[0, 2, 1]),
    ]  # fmt: skip
    if form.head == "MatMul":
        nodes += [
            helper.make_node("MatMul", ["NTF", "head"], ["product"]),
            helper.make_node("Add", ["bias", "product"], ["sum"]),
            helper.make_node("Identity", ["sum"], ["logits"]),
        ]
    else:
        nodes += [
            helper.make_node("Einsum", ["NTF", "head"], ["product"], equation="ntf,fc->ntc"),
            helper.make_node("Add", ["product", "bias"], ["logits"]),
        ]
    last = "logits"
    if form.ends_in:
        nodes.append(helper.make_node(form.ends_in, [last], ["ended"], axis=2))
        last = "ended"
    perm = ["NTC".index(axis) for axis in form.axes]
    nodes.append(helper.make_node("Transpose", [last], ["scores"], perm=perm))
    return nodes, "scores"


def scores(data: bytes, pictures: NDArray[np.float32], output: str = "scores") -> Any:
    """What ONNX Runtime computes of them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run([output], {"x": pictures})[0]
