"""``onnx``: the bundle's ``model.onnx`` in ONNX Runtime, on the CPU."""

from __future__ import annotations

import torch

from crnn.engines.graph import INPUT_NAME, OUTPUT_NAME, Engine, in_slices
from crnn.errors import EngineError
from crnn.images.contract import Pixels

SLICE_PIXELS = 1 << 16
"""A thread's share of what is computed at once: 16 pictures of 32x128 px."""
_ERRORS_ONLY = 3


def build(model: bytes, threads: int) -> Engine:
    """The engine of an ONNX model as ``crnn.engines.export`` writes it.

    Raises:
        EngineError: when onnxruntime isn't installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(
            f"engine 'onnx' needs the package onnxruntime ({error}); "
            "run: pip install 'crnn-on-ray[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it keeps a plan for every shape, and shapes change
    options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(pixels_NHWC: Pixels) -> torch.Tensor:
        (log_probs_TNC,) = session.run([OUTPUT_NAME], {INPUT_NAME: pixels_NHWC})
        return torch.from_numpy(log_probs_TNC)

    return in_slices(run, SLICE_PIXELS * threads)
