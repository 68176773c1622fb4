"""CTC against the sum over every alignment, written out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crnn.decode.greedy import best_path_runs
from crnn.model.ctc import best_path_log_probabilities, ctc_losses, log_probabilities
from crnn.model.feasible import min_time_steps
from crnn.text.charset import Charset

AB = Charset("ab")


def probabilities_of_texts(log_probs_TC: Tensor, charset: Charset) -> dict[str, float]:
    """Probability of every text that T steps can write: all C^T paths, collapsed and summed."""
    probs = log_probs_TC.double().exp().numpy()
    totals: dict[str, float] = {}
    for path in itertools.product(range(probs.shape[1]), repeat=len(probs)):
        text = charset.collapse(path)
        share = math.prod(probs[t, class_id] for t, class_id in enumerate(path))
        totals[text] = totals.get(text, 0.0) + share
    return totals


def random_logits(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 2


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), time_steps=st.integers(1, 5))
def test_loss_is_the_sum_over_all_alignments(seed: int, time_steps: int) -> None:
    logits_TNC = random_logits(seed, time_steps, 1, AB.num_classes)
    truth = probabilities_of_texts(logits_TNC.log_softmax(-1)[:, 0], AB)
    texts = sorted(truth)
    losses = ctc_losses(
        logits_TNC.expand(-1, len(texts), -1),
        torch.tensor([i for text in texts for i in AB.encode(text)], dtype=torch.int64),
        torch.tensor([len(text) for text in texts]),
    )
    expected = [-math.log(truth[text]) for text in texts]
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert sum(truth.values()) == pytest.approx(1)


def test_each_sample_has_its_own_loss() -> None:
    logits_TNC = random_logits(0, 4, 3, AB.num_classes)
    texts = ["ab", "", "bb"]
    targets = torch.tensor([i for text in texts for i in AB.encode(text)])
    losses = ctc_losses(logits_TNC, targets, torch.tensor([2, 0, 2]))
    for n, text in enumerate(texts):
        truth = probabilities_of_texts(logits_TNC.log_softmax(-1)[:, n], AB)[text]
        assert losses[n].item() == pytest.approx(-math.log(truth), rel=1e-4)


def test_empty_texts_alone_are_all_blanks() -> None:
    logits_TNC = random_logits(1, 6, 2, AB.num_classes)
    none = torch.zeros(0, dtype=torch.int64)
    losses = ctc_losses(logits_TNC, none, torch.tensor([0, 0]))
    expected = -logits_TNC.log_softmax(-1)[:, :, 0].sum(0)
    torch.testing.assert_close(losses, expected)


@pytest.mark.parametrize(
    ("text", "steps"), [("", 0), ("a", 1), ("ab", 2), ("aa", 3), ("aab", 4), ("aaa", 5)]
)
def test_min_time_steps_is_the_shortest_feasible_length(text: str, steps: int) -> None:
    target = AB.encode(text)
    assert min_time_steps(target) == steps
    for time_steps in range(1, 8):
        logits_TNC = torch.zeros(time_steps, 1, AB.num_classes)
        loss = ctc_losses(logits_TNC, torch.tensor(target).long(), torch.tensor([len(target)]))
        assert math.isinf(loss.item()) == (time_steps < steps)


def test_an_infeasible_sample_leaves_its_neighbour_alone() -> None:
    logits_TNC = random_logits(2, 3, 2, AB.num_classes)
    targets = torch.tensor([1, 1, 1, 1, 2])
    losses = ctc_losses(logits_TNC, targets, torch.tensor([3, 2]))
    alone = ctc_losses(logits_TNC[:, 1:], targets[3:], torch.tensor([2]))
    assert losses[0].item() == math.inf
    assert losses[1].item() == alone.item()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_losses_are_float32_whatever_the_logits(dtype: torch.dtype) -> None:
    logits_TNC = random_logits(3, 4, 1, AB.num_classes).to(dtype)
    targets, lengths = torch.tensor([1, 2]), torch.tensor([2])
    losses = ctc_losses(logits_TNC, targets, lengths)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, ctc_losses(logits_TNC.float(), targets, lengths))


def test_the_gradient_is_that_of_the_summed_alignments() -> None:
    logits_TNC = random_logits(4, 4, 1, AB.num_classes).requires_grad_()
    ctc_losses(logits_TNC, torch.tensor([1, 2]), torch.tensor([2])).sum().backward()
    assert logits_TNC.grad is not None
    step = 1e-3
    for t, c in itertools.product(range(4), range(AB.num_classes)):
        moved = []
        for sign in (1, -1):
            shifted = logits_TNC.detach().double()[:, 0].clone()
            shifted[t, c] += sign * step
            moved.append(-math.log(probabilities_of_texts(shifted.log_softmax(-1), AB)["ab"]))
        slope = (moved[0] - moved[1]) / (2 * step)
        assert logits_TNC.grad[t, 0, c].item() == pytest.approx(slope, abs=1e-4)


def test_log_probabilities_of_many_targets_for_one_sample() -> None:
    log_probs_TNC = random_logits(5, 4, 1, AB.num_classes).log_softmax(-1)
    truth = probabilities_of_texts(log_probs_TNC[:, 0], AB)
    texts = [*sorted(truth), "abababab"]
    found = log_probabilities(log_probs_TNC, [AB.encode(text) for text in texts]).tolist()
    assert found[-1] == -math.inf
    for text, log_probability in zip(texts[:-1], found[:-1], strict=True):
        assert log_probability == pytest.approx(math.log(truth[text]), abs=1e-4)


def test_no_targets_have_no_log_probabilities() -> None:
    assert log_probabilities(torch.zeros(4, 0, 3), []).shape == (0,)


def of_best_paths(log_probs_TNC: Tensor) -> tuple[list[float], list[float]]:
    """What both ways give for the text of each sample's likeliest path; many move on together."""
    exact = log_probabilities(log_probs_TNC.double(), best_path_runs(log_probs_TNC).targets())
    many_TNC = log_probs_TNC.repeat(1, 20, 1)
    runs = best_path_runs(many_TNC)
    fast = best_path_log_probabilities(many_TNC.numpy(), runs.ids, runs.bounds).reshape(20, -1)
    assert (fast == fast[0]).all()
    return fast[0].tolist(), exact.tolist()


def test_a_few_samples_are_scored_as_many_are() -> None:
    many_TNC = random_logits(3, 40, 30, 97).log_softmax(-1)
    runs = best_path_runs(many_TNC)
    together = best_path_log_probabilities(many_TNC.numpy(), runs.ids, runs.bounds)
    for n in range(30):
        one_TNC = many_TNC[:, n : n + 1]
        own = best_path_runs(one_TNC)
        alone = best_path_log_probabilities(one_TNC.numpy(), own.ids, own.bounds)
        np.testing.assert_allclose(alone, together[n], rtol=1e-6)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), time_steps=st.integers(1, 5), batch=st.integers(1, 4))
def test_a_best_path_s_text_has_the_sum_over_all_its_alignments(
    seed: int, time_steps: int, batch: int
) -> None:
    log_probs_TNC = random_logits(seed, time_steps, batch, AB.num_classes).log_softmax(-1)
    fast, _ = of_best_paths(log_probs_TNC)
    for n, target in enumerate(best_path_runs(log_probs_TNC).targets()):
        truth = probabilities_of_texts(log_probs_TNC[:, n], AB)[AB.text(target)]
        assert fast[n] == pytest.approx(math.log(truth), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("sharpness", [0.0, 1.0, 5.0, 60.0])
@pytest.mark.parametrize("time_steps", [1, 8, 9, 130, 600])
def test_best_paths_of_any_length_and_sharpness_neither_vanish_nor_drift(
    sharpness: float, time_steps: int
) -> None:
    logits_TNC = sharpness * random_logits(7, time_steps, 5, 97)
    logits_TNC[:, 0, 0] += 1e3  # all blank: the empty text
    logits_TNC[:, 1, 5] += 1e3  # one character throughout
    fast, exact = of_best_paths(logits_TNC.log_softmax(-1))
    np.testing.assert_allclose(fast, exact, rtol=1e-5, atol=1e-4)
