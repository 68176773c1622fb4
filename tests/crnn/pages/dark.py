"""A detector that a test can see through: dark pixels are text. It can't take every page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tests.crnn.pages.drawn import two_columns

TOO_LOW = Image.new("RGB", (300, 32), "white")
"""A page on which it fails: it asks for the 33rd row."""


def dark_pixels(folder: Path) -> str:
    """An ONNX file of the DB family: ``N3hw`` to a map that is 1 where a pixel is dark."""
    numbers = {"row": np.array([32]), "zero": np.float32(0), "channels": np.array([1])}
    nodes = [
        helper.make_node("Gather", ["page", "row"], ["line"], axis=2),  # fails where there is none
        helper.make_node("ReduceMax", ["line"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "zero"], ["nothing"]),
        helper.make_node("ReduceMean", ["page", "channels"], ["grey"], keepdims=1),
        helper.make_node("Add", ["grey", "nothing"], ["same"]),
        helper.make_node("Less", ["same", "zero"], ["dark"]),
        helper.make_node("Cast", ["dark"], ["map"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "dark",
        [helper.make_tensor_value_info("page", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 1, "h", "w"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    file = folder / "dark.onnx"
    onnx.save(model, str(file))
    return str(file)


def some_fail() -> list[Image.Image]:
    """Three pages, of which it can't take the second."""
    return [two_columns(), TOO_LOW, two_columns()]
