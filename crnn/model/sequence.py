"""The sequence part: stacked bidirectional RNNs over the time steps of the backbone.

Between two layers both directions are brought back to the width of one by a linear map, as in
the reference implementation of Shi et al. (2015). Shape suffixes: T steps, N pictures, F features.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class BidirectionalStack(nn.Module):
    """``features_TNF → features_TNF`` with F = 2 x ``hidden`` at the end."""

    def __init__(
        self,
        cell: Literal["lstm", "gru"],
        in_features: int,
        hidden: int,
        *,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        widths = [in_features] + [hidden] * (layers - 1)
        self.layers = nn.ModuleList(CELLS[cell](w, hidden, bidirectional=True) for w in widths)
        self.between = nn.ModuleList(nn.Linear(2 * hidden, hidden) for _ in widths[1:])
        self.dropout = nn.Dropout(dropout)
        for layer in self.layers:
            _initialise_rnn(layer)
        for linear in self.between:
            initialise_linear(linear)

    def forward(self, features_TNF: Tensor) -> Tensor:
        """Both directions of the last layer, side by side."""
        hidden_TNF, _ = self.layers[0](self.dropout(features_TNF))
        for linear, layer in zip(self.between, list(self.layers)[1:], strict=True):
            hidden_TNF, _ = layer(self.dropout(linear(hidden_TNF)))
        return self.dropout(hidden_TNF)


def initialise_linear(linear: nn.Module) -> None:
    """Xavier weights, no bias."""
    assert isinstance(linear, nn.Linear)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)


def _initialise_rnn(rnn: nn.Module) -> None:
    """Xavier for inputs and orthogonal for recurrences, gate by gate; an open forget gate."""
    assert isinstance(rnn, nn.LSTM | nn.GRU)
    for name, weight in rnn.named_parameters():
        gates = weight.data.split(rnn.hidden_size)
        if "weight_ih" in name:
            for gate in gates:
                nn.init.xavier_uniform_(gate)
        elif "weight_hh" in name:
            for gate in gates:
                nn.init.orthogonal_(gate)
        else:
            nn.init.zeros_(weight)
            if isinstance(rnn, nn.LSTM) and "bias_ih" in name:
                gates[1].fill_(1.0)
