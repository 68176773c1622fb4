"""``openvino``: the bundle's ``model.onnx`` in OpenVINO, on the CPU.

``openvino-bf16``: the same in bfloat16, on CPUs that have it.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

import torch

from crnn.engines.graph import Engine, in_slices
from crnn.errors import EngineError
from crnn.images.contract import Pixels

SLICE_PIXELS = 1 << 18
"""A thread's share of what is computed at once: 64 pictures of 32x128 px; twice in bfloat16."""


def build(model: bytes, threads: int, *, bf16: bool = False) -> Engine:
    """The engine of an ONNX model as ``crnn.engines.export`` writes it.

    Unless told otherwise it computes in float32 even where the CPU has bfloat16, which OpenVINO
    would take by itself.

    Raises:
        EngineError: when openvino isn't installed, or the CPU has no bfloat16.
    """
    try:
        import openvino
    except ImportError as error:
        raise EngineError(
            f"engine 'openvino' needs the package openvino ({error}); "
            "run: pip install 'crnn-on-ray[openvino]'"
        ) from error
    core = openvino.Core()
    if bf16 and not has_bf16(core):
        raise EngineError(
            "engine 'openvino-bf16' needs a CPU with instructions for bfloat16 (AVX512-BF16 or "
            "AMX), which this one lacks; read with engine 'auto'"
        )
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()
    one_at_a_time = Lock()  # a request has one set of buffers

    def run(pixels_NHWC: Pixels) -> torch.Tensor:
        with one_at_a_time:
            outputs = request.infer({0: pixels_NHWC}, share_inputs=True, share_outputs=False)
        return torch.from_numpy(outputs[0])

    return in_slices(run, (SLICE_PIXELS << bf16) * threads)


def has_bf16(core: Any) -> bool:
    """Whether the CPU of an ``openvino.Core`` computes in bfloat16."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
