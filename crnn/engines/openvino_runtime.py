"""``openvino``: the bundle's ``model.onnx`` in OpenVINO, on the CPU."""

from __future__ import annotations

from threading import Lock

import torch

from crnn.engines.graph import Engine
from crnn.errors import EngineError
from crnn.image import Pixels

PACKAGE = "openvino"


def build(model: bytes, threads: int) -> Engine:
    """The engine of an ONNX model as ``crnn.engines.export`` writes it.

    It computes in float32 even where the CPU has bfloat16, which OpenVINO would take by itself.

    Raises:
        EngineError: when openvino isn't installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise EngineError(
            f"engine 'openvino' needs the package openvino ({error}); "
            "run: pip install 'crnn-on-ray[openvino]'"
        ) from error
    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()
    one_at_a_time = Lock()  # a request has one set of buffers

    def run(pixels_NHWC: Pixels) -> torch.Tensor:
        with one_at_a_time:
            outputs = request.infer({0: pixels_NHWC}, share_inputs=True, share_outputs=False)
        return torch.from_numpy(outputs[0])

    return run
