"""A graph from elsewhere, rewritten to what every engine here runs.

uint8 ``pixels_NHWC`` (RGB or grey) → ``log_probs_TNC`` over the charset, blank first: order of
channels, normalisation, the choice of classes and log-softmax lie inside, so that nothing but the
contract's scaling and padding is done outside. Where the scores come from a matrix, its columns are
chosen, so that classes which were cut cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from crnn.bundle.importing.classes import Classes
from crnn.bundle.importing.graph import Floats, Graph
from crnn.engines.graph import INPUT_NAME, OUTPUT_NAME
from crnn.images.contract import Pixels

if TYPE_CHECKING:
    import onnx

_PREFIX = "source/"
_WHITE = 255
_CLASSES_LAST = 2


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """Maps pixels (0 to 255) to the graph's input: ``(pixel / 255 - mean) / std``."""

    order: Literal["rgb", "bgr"] = "rgb"
    """Order of three channels."""
    mean: tuple[float, ...] = (0.5,)
    """One for each channel in the graph's order, or one for all."""
    std: tuple[float, ...] = (0.5,)

    def __post_init__(self) -> None:
        if self.order not in ("rgb", "bgr"):
            raise ValueError(f"--channel-order is {self.order!r}; expected 'rgb' or 'bgr'")
        if any(len(values) not in (1, 3) for values in (self.mean, self.std)):
            raise ValueError("--mean and --std take one value, or one for each of three channels")
        if not all(value > 0 for value in self.std):
            raise ValueError(f"--std is {self.std}; expected values above 0")

    def apply(self, pixels_NHWC: Pixels) -> Floats:
        """``pictures_NCHW``, as they were made when the graph was trained."""
        pixels = pixels_NHWC[..., ::-1] if self.order == "bgr" else pixels_NHWC
        scaled = pixels.astype(np.float32) / _WHITE
        normal = (scaled - np.array(self.mean)) / np.array(self.std)
        return normal.astype(np.float32).transpose(0, 3, 1, 2)


def rewrite(graph: Graph, classes: Classes, normalisation: Normalisation) -> bytes:
    """The ONNX file of a bundle; the same arguments give the same bytes."""
    import onnx
    from onnx import compose

    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    for part in (model.graph, *model.graph.node):
        part.ClearField("doc_string")
    model = compose.add_prefix(model, _PREFIX)
    editor = _Editor(model)
    editor.take_pixels(graph, normalisation)
    editor.give_log_probs(graph, classes)
    editor.drop_unused()
    return bytes(model.SerializeToString(deterministic=True))


class _Editor:
    """A graph in work."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._makers = {name: node for node in model.graph.node for name in node.output}
        self._count = 0

    def take_pixels(self, graph: Graph, normalisation: Normalisation) -> None:
        """Make ``pixels_NHWC`` the input."""
        from onnx import TensorProto, helper

        shape: list[int | str | None] = ["N", graph.height, graph.width or "W", graph.channels]
        pixels = helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, shape)
        source = _PREFIX + graph.input_name
        first = len(self._graph.node)
        last = INPUT_NAME
        if graph.channels == 3 and normalisation.order == "bgr":
            turned = self._constant(np.array([2, 1, 0], dtype=np.int64))
            last = self._add("Gather", last, turned, axis=3)
        last = self._add("Cast", last, to=TensorProto.FLOAT)
        mean, std = (np.array(v, np.float64) for v in (normalisation.mean, normalisation.std))
        last = self._add("Sub", last, self._constant((mean * _WHITE).astype(np.float32)))
        factor = self._constant((1 / (std * _WHITE)).astype(np.float32))
        last = self._add("Mul", last, factor)
        if graph.input_type == TensorProto.FLOAT16:
            last = self._add("Cast", last, to=TensorProto.FLOAT16)
        if not graph.channels_last:
            last = self._add("Transpose", last, perm=[0, 3, 1, 2])
        self._add("Identity", last, gives=source)
        added = list(self._graph.node[first:])
        kept = list(self._graph.node[:first])
        del self._graph.node[:]
        self._graph.node.extend([*added, *kept])
        self._makers = {name: node for node in self._graph.node for name in node.output}
        weights = {tensor.name for tensor in self._graph.initializer}
        rest = [v for v in self._graph.input if v.name in weights]
        del self._graph.input[:]
        self._graph.input.extend([pixels, *rest])

    def give_log_probs(self, graph: Graph, classes: Classes) -> None:
        """Make ``log_probs_TNC`` the output."""
        from onnx import TensorProto, helper

        name, axes = _PREFIX + (graph.logits_name or graph.output_name), graph.logits_axes
        is_all = classes.order == tuple(range(graph.num_classes))
        chosen = None if is_all else self._with_chosen_columns(name, axes, classes.order)
        if chosen is None and not is_all:
            order = self._constant(np.array(classes.order, dtype=np.int64))
            chosen = self._add("Gather", name, order, axis=axes.index("C"))
        last = self._add("Cast", chosen or name, to=TensorProto.FLOAT)
        if axes != "TNC":
            last = self._add("Transpose", last, perm=[axes.index(axis) for axis in "TNC"])
        if graph.scale == "probabilities" and not graph.logits_name:
            tiny = self._constant(np.array(np.finfo(np.float32).tiny, dtype=np.float32))
            last = self._add("Log", self._add("Max", last, tiny))
        last = self._add("LogSoftmax", last, axis=_CLASSES_LAST)
        self._add("Identity", self._merged(last, classes), gives=OUTPUT_NAME)
        shape: list[int | str | None] = ["T", "N", classes.charset.num_classes]
        del self._graph.output[:]
        self._graph.output.append(
            helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, shape)
        )
        self._graph.ClearField("value_info")

    def _with_chosen_columns(self, name: str, axes: str, order: Sequence[int]) -> str | None:
        """The scores of these classes, if a matrix gives them; None if not."""
        add = self._maker(name)
        if axes[-1] != "C" or add is None or add.op_type not in ("Add", "MatMul"):
            return None
        bias, product = None, add
        if add.op_type == "Add":
            values = [self._value(value) for value in add.input]
            if (values[0] is None) == (values[1] is None):
                return None
            place = 0 if values[0] is not None else 1
            bias = values[place]
            made = self._maker(add.input[1 - place])
            if made is None or made.op_type != "MatMul":
                return None
            product = made
        weight = self._value(product.input[1])
        columns = list(order)
        if weight is None or weight.ndim != 2 or max(columns) >= weight.shape[1]:
            return None
        if bias is not None and bias.shape[-1:] != weight.shape[1:]:
            return None
        matrix = self._constant(np.ascontiguousarray(weight[:, columns]))
        last = self._add("MatMul", product.input[0], matrix)
        if bias is not None:
            last = self._add("Add", last, self._constant(np.ascontiguousarray(bias[..., columns])))
        return last

    def _merged(self, name: str, classes: Classes) -> str:
        """Log-probabilities with two classes of one character made one."""
        if not classes.merged:
            return name
        single = classes.charset.num_classes - classes.merged
        bounds = (0, single, single + classes.merged, single + 2 * classes.merged)
        alone, one, other = (
            self._add("Slice", name, *map(self._index, (start, end, _CLASSES_LAST)))
            for start, end in pairwise(bounds)
        )
        largest = self._add("Max", one, other)
        sums = [self._add("Exp", self._add("Sub", part, largest)) for part in (one, other)]
        both = self._add("Add", largest, self._add("Log", self._add("Add", *sums)))
        return self._add("Concat", alone, both, axis=_CLASSES_LAST)

    def drop_unused(self) -> None:
        """Leave out what the output doesn't need, such as the columns that were cut."""
        needed = {OUTPUT_NAME}
        kept = []
        for node in reversed(self._graph.node):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(node.input, _captured(node))
        del self._graph.node[:]
        self._graph.node.extend(reversed(kept))
        for values in (self._graph.initializer, self._graph.input):
            rest = [value for value in values if value.name in needed]
            del values[:]
            values.extend(rest)

    def _maker(self, name: str) -> onnx.NodeProto | None:
        """The node that gives these values, seen through those that change nothing."""
        node = self._makers.get(name)
        while node is not None and node.op_type == "Identity":
            node = self._makers.get(node.input[0])
        return node

    def _value(self, name: str) -> NDArray[Any] | None:
        """Value of a constant; None for anything else."""
        from onnx import numpy_helper

        node = self._makers.get(name)
        if node is not None and node.op_type == "Identity":
            return self._value(node.input[0])
        if node is not None and node.op_type == "Constant":
            tensors = [a.t for a in node.attribute if a.name == "value"]
            return numpy_helper.to_array(tensors[0]) if tensors else None
        tensors = [tensor for tensor in self._graph.initializer if tensor.name == name]
        return numpy_helper.to_array(tensors[0]) if tensors else None

    def _index(self, value: int) -> str:
        return self._constant(np.array([value], dtype=np.int64))

    def _constant(self, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = self._name()
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def _add(self, operator: str, *inputs: str, gives: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = gives or self._name()
        node = helper.make_node(operator, list(inputs), [name], **attributes)
        self._graph.node.append(node)
        self._makers[name] = node
        return name

    def _name(self) -> str:
        self._count += 1
        return f"import/{self._count}"


def _captured(node: onnx.NodeProto) -> set[str]:
    """Names that a node's inner graphs take from outside, and some of their own."""
    found: set[str] = set()
    for attribute in node.attribute:
        inner = [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
        for one in inner:
            for part in one.node:
                found |= {*part.input, *_captured(part)}
            found |= {value.name for value in one.output}
    return found
