"""An ONNX graph from elsewhere: what it takes and gives, found by looking at it and by running it.

Axes are named by letters: N pictures, C channels (of pictures) or classes (of scores), H height,
W width, T time steps.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from crnn.errors import DataError, EngineError

if TYPE_CHECKING:
    import onnx

Scale = Literal["logits", "probabilities", "log-probabilities"]
Floats = NDArray[np.float32]
_TYPES = {1: np.float32, 10: np.float16}
"""Types of pictures that a graph may take, by their number in ONNX."""
_SUM_TOLERANCE = 1e-2
_LAST_AXIS = 2
_USUAL_WIDTH = 4
"""Heights: of the pictures on which a graph of any width is tried."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A graph with one picture input and CTC scores; its constructor checks nothing."""

    model: onnx.ModelProto
    input_name: str
    output_name: str
    input_type: int
    """ONNX element type of the input."""
    channels: int
    height: int
    width: int | None
    """The only one that it takes, px; None: any."""
    channels_last: bool
    """Whether pictures are ``NHWC``, not ``NCHW``."""
    axes: str
    """Axes of the scores: ``NTC``, ``TNC``, ``NCT`` …"""
    num_classes: int
    scale: Scale
    logits_name: str = ""
    """Inner values from which a softmax makes the scores; empty where there is none."""
    logits_axes: str = ""
    """Theirs, or those of the scores."""

    @cached_property
    def _session(self) -> Any:
        return session(_with_output(self.model, self.logits_name).SerializeToString())

    def scores(self, pictures_NCHW: Floats) -> Floats:
        """``scores_NTC`` of normalised pictures, as it scales them."""
        return self._values(pictures_NCHW, self.output_name, self.axes)

    def log_probs(self, pictures_NCHW: Floats) -> NDArray[np.float64]:
        """``log_probs_NTC``: natural log-probabilities, not rounded to 0 where they are small."""
        name = self.logits_name or self.output_name
        scores = self._values(pictures_NCHW, name, self.logits_axes).astype(np.float64)
        if self.scale == "probabilities" and not self.logits_name:
            return np.log(np.maximum(scores, np.finfo(np.float32).tiny))
        return log_softmax(scores)

    def _values(self, pictures_NCHW: Floats, name: str, axes: str) -> Floats:
        found = _run(self._session, self, pictures_NCHW, name)
        return found.transpose([axes.index(axis) for axis in "NTC"])

    def time_steps(self, width_px: int) -> int:
        """T for pictures of this width; raises DataError where it can't take them."""
        shape = 1, self.channels, self.height, width_px
        return self.scores(np.zeros(shape, dtype=np.float32)).shape[1]

    def metadata(self) -> dict[str, str]:
        """What its file says besides, by key."""
        return {entry.key: entry.value for entry in self.model.metadata_props}


def log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def session(model: bytes) -> Any:
    """ONNX Runtime session; EngineError if not installed, DataError if it rejects the model."""
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(f"importing needs onnxruntime and onnx ({error}); {_INSTALL}") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own tree of errors
        raise DataError(f"ONNX Runtime can't load the graph: {error}") from error


_INSTALL = "run: pip install 'crnn-on-ray[onnx]'"


def look_at(
    data: bytes,
    *,
    height: int | None = None,
    output: str | None = None,
    sizes: Collection[int] = (),
) -> Graph:
    """The graph of an ONNX file, tried on pictures of noise.

    Args:
        height: of its pictures in px, where the file doesn't say.
        output: name of the scores, where there are several outputs.
        sizes: numbers of classes that its characters would make, to tell classes from time steps.

    Raises:
        DataError: when it is no ONNX file, keeps weights in other files, takes something else than
            one batch of pictures, or gives something else than CTC scores.
        EngineError: without the packages onnx and onnxruntime.
    """
    model = _parse(data)
    given = _input(model)
    shape = [d.dim_value or None for d in given.type.tensor_type.shape.dim]
    channels_last = _channels_last(given.name, shape)
    channels, high, wide = (
        (shape[3], shape[1], shape[2]) if channels_last else (shape[1], shape[2], shape[3])
    )
    if shape[0] is not None:
        raise DataError(
            f"the graph takes exactly {shape[0]} picture(s) at a time (input {given.name!r} is "
            f"{shape}); export it with a dynamic batch axis"
        )
    if high is None and height is None:
        raise DataError(
            f"input {given.name!r} takes any height; give the one it was trained for with --height"
        )
    if high is not None and height not in (None, high):
        raise DataError(f"--height is {height}, but input {given.name!r} takes {high} px")
    graph = Graph(
        model=model,
        input_name=given.name,
        output_name=_output(model, output),
        input_type=given.type.tensor_type.elem_type,
        channels=int(channels or 0),
        height=int(high or height or 0),
        width=wide,
        channels_last=channels_last,
        axes="NTC",
        num_classes=0,
        scale="logits",
    )
    return _tried(graph, sizes)


def _parse(data: bytes) -> onnx.ModelProto:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise EngineError(f"importing needs onnxruntime and onnx ({error}); {_INSTALL}") from error
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise DataError(f"not an ONNX file: {error}") from error
    if not model.graph.node:
        raise DataError("not an ONNX file, or one without nodes")
    outside = [
        {entry.key: entry.value for entry in tensor.external_data}.get("location", "?")
        for tensor in _tensors(model.graph)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    if outside:
        raise DataError(
            f"the graph keeps {len(outside)} weights in other files ({sorted(set(outside))[0]}); "
            "save it as one file: onnx.save(onnx.load(path), other_path)"
        )
    return model


def _tensors(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """All that have values, those of inner graphs too."""
    found = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            found += [*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors]
            inner = [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
            for one in inner:
                found += _tensors(one)
    return found


def _input(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in inputs}
    if len(inputs) != 1 or ranks[inputs[0].name] != 4:
        raise DataError(
            f"the graph takes {ranks} (axes by input); expected one input of 4 axes, pictures NCHW "
            "or NHWC"
        )
    if inputs[0].type.tensor_type.elem_type not in _TYPES:
        raise DataError(f"input {inputs[0].name!r} is neither float32 nor float16")
    return inputs[0]


def _channels_last(name: str, shape: Sequence[int | None]) -> bool:
    places = [axis for axis in (1, 3) if shape[axis] in (1, 3)]
    if not places:
        raise DataError(
            f"input {name!r} is {list(shape)}; expected 1 or 3 channels as its 2nd or 4th axis"
        )
    return places[0] == 3


def _output(model: onnx.ModelProto, wanted: str | None) -> str:
    outputs = {v.name: len(v.type.tensor_type.shape.dim) for v in model.graph.output}
    floats = {v.name for v in model.graph.output if v.type.tensor_type.elem_type in (1, 10)}
    if wanted is not None and wanted not in outputs:
        raise DataError(f"the graph has no output {wanted!r}; it has {sorted(outputs)}")
    fit = [n for n, rank in outputs.items() if rank == 3 and n in floats and wanted in (None, n)]
    if len(fit) != 1:
        raise DataError(
            f"the graph gives {outputs} (axes by output), of which {fit} could be CTC scores: "
            "expected one output of floats with 3 axes, pictures, time steps and classes; "
            "where there are several, name it with --output-name"
        )
    return fit[0]


def _run(running: Any, graph: Graph, pictures_NCHW: Floats, output: str) -> Floats:
    pictures = pictures_NCHW.transpose(0, 2, 3, 1) if graph.channels_last else pictures_NCHW
    fed = np.ascontiguousarray(pictures, dtype=_TYPES[graph.input_type])
    try:
        (scores,) = running.run([output], {graph.input_name: fed})
    except Exception as error:  # its own tree of errors
        raise DataError(
            f"the graph can't take {len(pictures)} picture(s) of {graph.channels} channel(s), "
            f"{graph.height}x{pictures_NCHW.shape[3]} px: {error}"
        ) from error
    return np.asarray(scores, dtype=np.float32)


def _tried(graph: Graph, sizes: Collection[int]) -> Graph:
    """``graph`` with what only running it tells."""
    running = session(graph.model.SerializeToString())
    width = graph.width or _USUAL_WIDTH * graph.height
    rng = np.random.default_rng(0)

    def scores(count: int, width_px: int) -> Floats:
        shape = count, graph.channels, graph.height, width_px
        noise_NCHW = rng.uniform(-1, 1, shape).astype(np.float32)
        return _run(running, graph, noise_NCHW, graph.output_name)

    two, three = scores(2, width), scores(3, width)
    batch = _changed(two.shape, three.shape)
    if len(batch) != 1:
        raise DataError(f"scores of 2 pictures are {two.shape}, of 3 {three.shape}: no batch axis")
    rest = [axis for axis in range(3) if axis != batch[0]]
    if graph.width is None:
        longer = scores(2, 2 * width)
        times = _changed(two.shape, longer.shape)
        if len(times) != 1:
            raise DataError(
                f"not a CTC recognizer: scores of 2 pictures {width} px wide are {two.shape}, of "
                f"ones twice as wide {longer.shape}; expected time steps in proportion to the width"
            )
    else:  # classes come last, unless only the other number fits the characters
        swapped = two.shape[rest[1]] not in sizes and two.shape[rest[0]] in sizes
        times = [rest[1] if swapped else rest[0]]
    letters = {batch[0]: "N", times[0]: "T"}
    axes = "".join(letters.get(axis, "C") for axis in range(3))
    num_classes = two.shape[axes.index("C")]
    scale = _scale(three.transpose([axes.index(axis) for axis in "NTC"]))
    logits_name, logits_axes = _before_softmax(graph.model, graph.output_name, axes)
    return replace(
        graph,
        axes=axes,
        num_classes=num_classes,
        scale=scale,
        logits_name=logits_name,
        logits_axes=logits_axes,
    )


def _before_softmax(model: onnx.ModelProto, name: str, axes: str) -> tuple[str, str]:
    """The values that a softmax over classes makes the output ``name`` of, with their axes.

    Without one, an empty name and the output's own axes.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    found, axes_found = name, axes
    while (node := makers.get(found)) is not None:
        if node.op_type == "Transpose":
            before = [""] * 3
            for place, source in enumerate(_attribute(node, "perm") or (2, 1, 0)):
                before[source] = axes_found[place]
            axes_found = "".join(before)
        elif node.op_type in ("Softmax", "LogSoftmax"):
            is_last = _attribute(node, "axis") in (-1, _LAST_AXIS)
            return (node.input[0], axes_found) if axes_found[-1] == "C" and is_last else ("", axes)
        elif node.op_type != "Identity":
            break
        found = node.input[0]
    return "", axes


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    from onnx import helper

    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), None)


def _with_output(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The model with inner values among its outputs."""
    if not name or name in {value.name for value in model.graph.output}:
        return model
    import onnx

    more = onnx.ModelProto()
    more.CopyFrom(model)
    more.graph.output.append(onnx.ValueInfoProto(name=name))
    return more


def _changed(left: Sequence[int], right: Sequence[int]) -> list[int]:
    return [axis for axis in range(3) if left[axis] != right[axis]]


def _scale(scores_NTC: Floats) -> Scale:
    if not np.isfinite(scores_NTC).all():
        raise DataError("the graph gives scores that aren't finite for noise")
    wide = scores_NTC.astype(np.float64)
    if (wide >= 0).all() and (np.abs(wide.sum(axis=-1) - 1) < _SUM_TOLERANCE).all():
        return "probabilities"
    if (wide <= 0).all() and (np.abs(np.exp(wide).sum(axis=-1) - 1) < _SUM_TOLERANCE).all():
        return "log-probabilities"
    return "logits"
