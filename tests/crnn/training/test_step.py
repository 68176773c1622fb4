import torch

from crnn.errors import NonFiniteLossError
from crnn.training.batch import ReadyBatch
from crnn.training.optim import build_optimizer
from crnn.training.optim_config import OptimConfig
from crnn.training.ranks import replicate
from crnn.training.step import train_step
from crnn.training.trainer import Trainer
from tests.crnn.training.pictures import CHARSET, batch_of, small_model
from tests.crnn.training.worlds import in_world

CPU = torch.device("cpu")
UNEVEN = [["12", "345", "6"], ["7890", "11"], ["5"], ["31", "42", "53", "64"]]


def gradients(rank: int, shares: list[list[list[str]]]) -> dict[str, torch.Tensor]:
    """Gradients of one step of this rank's share, before the weights move."""
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    batches = [batch_of(texts) for texts in shares[rank]]
    train_step(replicate(model, CPU), optimizer, batches, clip_norm=1e9, device=CPU)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_two_workers_have_the_gradients_of_one() -> None:
    alone = gradients(0, [UNEVEN])
    for rank in in_world(2, gradients, [UNEVEN[:1], UNEVEN[1:]]):
        assert rank.keys() == alone.keys()
        for name, gradient in alone.items():
            torch.testing.assert_close(rank[name], gradient, rtol=1e-4, atol=1e-6)


def test_a_worker_without_batches_changes_nothing() -> None:
    alone = gradients(0, [UNEVEN[:2]])
    for rank in in_world(2, gradients, [UNEVEN[:2], []]):
        for name, gradient in alone.items():
            torch.testing.assert_close(rank[name], gradient, rtol=1e-4, atol=1e-6)


def test_the_loss_is_the_mean_per_character_over_all_samples() -> None:
    model = small_model().eval()
    batches = [batch_of(texts) for texts in UNEVEN]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    result = train_step(model, optimizer, batches, clip_norm=1e9, device=CPU)
    expected = 0.0
    with torch.no_grad():
        for texts in UNEVEN:
            for text in texts:
                one = batch_of([text])
                logits = model(one.images_NHWC.permute(0, 3, 1, 2).float() / 127.5 - 1)
                loss = torch.nn.functional.ctc_loss(
                    logits.log_softmax(-1),
                    one.targets_S,
                    torch.tensor([len(logits)]),
                    one.lengths_N,
                    reduction="sum",
                )
                expected += float(loss) / len(text)
    assert result.samples == 10
    assert abs(result.loss_sum - expected) < 1e-3 * expected


def impossible(texts: list[str]) -> ReadyBatch:
    """A batch whose first label is far too long for its picture: an infinite loss."""
    good = batch_of(texts)
    long_target = torch.tensor(CHARSET.encode("0" * 50))
    rest = good.targets_S[int(good.lengths_N[0]) :]
    lengths = good.lengths_N.clone()
    lengths[0] = 50
    return ReadyBatch(
        images_NHWC=good.images_NHWC,
        targets_S=torch.cat([long_target, rest]),
        lengths_N=lengths,
        ids=good.ids,
    )


def skip_on_rank_one(rank: int) -> tuple[bool, tuple[tuple[str, str], ...], bool, int]:
    """A step that only rank 1 spoils, then a good one."""
    model = small_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainer = Trainer(model, CHARSET, OptimConfig(), total_samples=100, device=CPU)
    bad = trainer.train([impossible(["12", "34"]) if rank == 1 else batch_of(["56", "78"])])
    unmoved = all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    trainer.train([batch_of(["12"])])
    return bad.skipped, bad.bad, unmoved, trainer.progress.skipped_in_a_row


def test_an_infinite_loss_on_one_worker_is_skipped_by_both() -> None:
    first, second = in_world(2, skip_on_rank_one)
    assert first == (True, (), True, 0)
    assert second == (True, (("sample-12", "non_finite_loss"),), True, 0)


def test_nan_pixels_leave_weights_and_batch_statistics_as_they_were() -> None:
    model = small_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = build_optimizer(model, OptimConfig())
    poisoned = batch_of(["12", "34"])
    pixels = poisoned.images_NHWC.float()
    pixels[1] = float("nan")
    poisoned = ReadyBatch(
        images_NHWC=pixels,
        targets_S=poisoned.targets_S,
        lengths_N=poisoned.lengths_N,
        ids=poisoned.ids,
    )
    result = train_step(model, optimizer, [poisoned], clip_norm=5.0, device=CPU)
    assert result.skipped
    assert ("sample-34", "non_finite_loss") in result.bad
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_too_many_skipped_steps_end_the_run() -> None:
    config = OptimConfig(max_skipped_in_a_row=3)
    trainer = Trainer(small_model(), CHARSET, config, total_samples=100, device=CPU)
    bad = [impossible(["12", "34"])]
    trainer.train(bad)
    trainer.train(bad)
    try:
        trainer.train(bad)
    except NonFiniteLossError as error:
        assert "3 steps in a row" in str(error)
    else:
        raise AssertionError("expected NonFiniteLossError")
