"""A bundle's model as ONNX: uint8 ``pixels_NHWC`` in, ``log_probs_TNC`` out, any N and any width.

Normalisation and log-softmax lie inside, so that nothing but the decoder is left to do. The
recurrent layers are single LSTM or GRU nodes, for which runtimes have kernels of their own.

Shape suffixes: T time steps, N pictures, F features, D directions, G gates of H features each.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from crnn.engines.graph import INPUT_NAME, OUTPUT_NAME, PixelsToLogProbs
from crnn.errors import EngineError

if TYPE_CHECKING:
    from crnn.bundle.bundle import Bundle

_EXAMPLES = 2  # of 1, the exporter would make a constant
_GATES: dict[type[nn.Module], tuple[int, ...]] = {nn.LSTM: (0, 3, 1, 2), nn.GRU: (1, 0, 2)}
"""In which order ONNX has the gates of PyTorch's cells."""


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
    network = copy.deepcopy(bundle.network()).to("cpu", torch.float32)
    network.rnn.layers = nn.ModuleList(map(_RnnNode, network.rnn.layers))
    graph = PixelsToLogProbs(network).eval()
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


class _RnnNode(nn.Module):
    """A bidirectional LSTM or GRU as the one node that ONNX has for it.

    The exporter would come to the same node, but first it traces a loop over the time steps, twice,
    which takes longer than all the rest.
    """

    weights_DGF: Tensor
    weights_DGH: Tensor
    biases_DG: Tensor

    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        assert isinstance(rnn, nn.LSTM | nn.GRU) and rnn.bidirectional and rnn.bias
        self._kind = rnn.mode
        self._hidden = rnn.hidden_size
        order = _GATES[type(rnn)]

        def both(name: str) -> Tensor:
            directions = (getattr(rnn, f"{name}_l0{end}").detach() for end in ("", "_reverse"))
            return torch.stack(
                [torch.cat([d.chunk(len(order))[gate] for gate in order]) for d in directions]
            )

        self.register_buffer("weights_DGF", both("weight_ih"))
        self.register_buffer("weights_DGH", both("weight_hh"))
        self.register_buffer("biases_DG", torch.cat([both("bias_ih"), both("bias_hh")], dim=1))

    def forward(self, features_TNF: Tensor) -> tuple[Tensor, None]:
        """As the layer does, without its last state."""
        attributes: dict[str, Any] = {
            "hidden_size": self._hidden,
            "direction": "bidirectional",
        }
        if self._kind == "GRU":
            attributes["linear_before_reset"] = 1
        steps, count = features_TNF.shape[:2]
        hidden_TDNH = torch.onnx.ops.symbolic(
            self._kind,
            (features_TNF, self.weights_DGF, self.weights_DGH, self.biases_DG),
            attributes,
            dtype=features_TNF.dtype,
            shape=(steps, 2, count, self._hidden),
        )
        return hidden_TDNH.transpose(1, 2).flatten(2), None


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
