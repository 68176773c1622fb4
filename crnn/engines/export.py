"""A bundle's model as ONNX: uint8 ``pixels_NHWC`` in, ``log_probs_TNC`` out, any N and any width.

Normalisation and log-softmax lie inside, so that nothing but the decoder is left to do. The
recurrent layers stay single LSTM or GRU nodes, for which runtimes have kernels of their own.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from crnn.engines.graph import INPUT_NAME, OUTPUT_NAME, PixelsToLogProbs
from crnn.errors import EngineError

if TYPE_CHECKING:
    from crnn.bundle import Bundle

_EXAMPLES = 2  # of 1, the exporter would make a constant


def export_onnx(bundle: Bundle) -> bytes:
    """The ONNX model of the bundle's weights in float32; the same weights give the same bytes.

    Raises:
        EngineError: when the packages that write ONNX aren't installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise EngineError(
            f"writing ONNX needs the packages onnx and onnxscript ({error}); "
            "run: pip install 'crnn-on-ray[onnx]'"
        ) from error
    contract = bundle.picture
    graph = PixelsToLogProbs(copy.deepcopy(bundle.network()).to("cpu", torch.float32)).eval()
    shape = (_EXAMPLES, contract.height, contract.widths[-1], contract.channels)
    with _quiet():
        program = torch.onnx.export(
            graph,
            (torch.zeros(shape, dtype=torch.uint8),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("N"), 2: torch.export.Dim("W")},),
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            verbose=False,
        )
    assert program is not None, "the dynamo exporter returns the program"
    model = program.model_proto
    for part in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        part.ClearField("metadata_props")  # the exporter's notes: stack traces, places in the code
        part.ClearField("doc_string")
    model.graph.ClearField("value_info")
    return bytes(model.SerializeToString(deterministic=True))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes to its own developers."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
