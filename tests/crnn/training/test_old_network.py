"""What a network was is followed on some samples, and on no others."""

from __future__ import annotations

from copy import deepcopy

import torch

from crnn.bundle.transfer import load_matching
from crnn.model.network import CRNN, ModelConfig
from crnn.text.charset import Charset
from crnn.training.batch import ReadyBatch
from crnn.training.old_network import WEIGHT, OldNetwork
from crnn.training.optim import build_optimizer
from crnn.training.optim_config import OptimConfig
from crnn.training.step import forward, sample_losses, train_step

OLD, NEW = Charset("0123"), Charset("é0123a")
CONFIG = ModelConfig(backbone="mobile", rnn_hidden=16)
CPU = torch.device("cpu")


def network(charset: Charset, seed: int) -> CRNN:
    torch.manual_seed(seed)
    return CRNN(CONFIG, num_classes=charset.num_classes, in_channels=1, height=32).eval()


def batch(*ids: str) -> ReadyBatch:
    torch.manual_seed(7)
    return ReadyBatch(
        images_NHWC=torch.randint(0, 256, (len(ids), 32, 64, 1), dtype=torch.uint8),
        targets_S=torch.tensor(NEW.encode("01") * len(ids)),
        lengths_N=torch.full((len(ids),), 2),
        ids=ids,
    )


def old_network(model: CRNN) -> OldNetwork:
    return OldNetwork(deepcopy(model), OLD, NEW, ("rendered-",))


def test_only_replayed_samples_follow_it() -> None:
    old, new = network(OLD, 1), network(NEW, 2)
    mixed = batch("rendered-1", "mine", "rendered-2")
    logits_TNC = forward(new, mixed)
    labels_N = sample_losses(logits_TNC, mixed)
    found_N = old_network(old).losses(labels_N, logits_TNC, mixed)
    assert found_N[1] == labels_N[1]
    given_TNK = forward(old, mixed).log_softmax(-1)
    ours_TNK = logits_TNC.log_softmax(-1)[..., [0, *NEW.ids_of("0123")]]
    apart_N = torch.nn.functional.kl_div(ours_TNK, given_TNK, log_target=True, reduction="none")
    expected = WEIGHT * apart_N.sum(dim=(0, 2)) / 2
    torch.testing.assert_close(found_N[[0, 2]], expected[[0, 2]])
    assert (found_N[[0, 2]] > 0).all()
    none = batch("a", "b")
    logits_TNC = forward(new, none)
    labels_N = sample_losses(logits_TNC, none)
    assert old_network(old).losses(labels_N, logits_TNC, none) is labels_N


def test_a_network_that_still_is_what_it_was_isn_t_moved() -> None:
    model = network(OLD, 1)
    old = OldNetwork(deepcopy(model), OLD, OLD, ("rendered-",))
    before = deepcopy(model.state_dict())
    optimizer = build_optimizer(model, OptimConfig(optimizer="sgd", lr=0.1, weight_decay=0.0))
    model.train()
    old.hold_norms(model)
    replayed = batch("rendered-1", "rendered-2")
    done = train_step(model, optimizer, [replayed], clip_norm=5.0, device=CPU, old=old)
    assert abs(done.loss_sum) < 1e-4
    for name, values in model.state_dict().items():
        torch.testing.assert_close(values, before[name], atol=1e-4, rtol=1e-3)


def test_new_characters_cost_where_the_old_network_is_followed() -> None:
    old, new = network(OLD, 1), network(NEW, 2)
    load_matching(new, NEW, old, OLD)
    replayed = batch("rendered-1")
    optimizer = build_optimizer(new, OptimConfig(lr=1e-3))
    losses = []
    for _ in range(6):
        new.train()
        follow = old_network(old)
        follow.hold_norms(new)
        losses.append(
            train_step(new, optimizer, [replayed], clip_norm=5.0, device=CPU, old=follow).loss_sum
        )
    assert losses[-1] < losses[0]
