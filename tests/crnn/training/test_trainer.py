import io

import torch

from crnn.text.metrics import Sums
from crnn.training.optim_config import OptimConfig
from crnn.training.trainer import Trainer
from tests.crnn.training.pictures import CHARSET, batch_of, small_model
from tests.crnn.training.worlds import in_world

CPU = torch.device("cpu")
EIGHT = ["12", "345", "67", "8901", "223", "4", "5566", "789"]


def trainer_for(config: OptimConfig, *, total_samples: int) -> Trainer:
    return Trainer(small_model(), CHARSET, config, total_samples=total_samples, device=CPU)


def test_eight_pictures_overfit() -> None:
    config = OptimConfig(lr=5e-3, ema_decay=0.9)
    trainer = trainer_for(config, total_samples=8 * 120)
    batch = batch_of(EIGHT)
    for _ in range(120):
        trainer.train([batch])
    validation = trainer.validate([batch])
    assert validation.sums == Sums(
        count=8, exact=8, alnum_count=8, alnum_exact=8, letters_count=8, letters_exact=8, edits=0,
        characters=22, similarity=8.0,
    )  # fmt: skip


def test_a_resumed_trainer_goes_on_as_if_it_had_not_stopped() -> None:
    config = OptimConfig()
    batches = [batch_of(EIGHT[i : i + 2]) for i in (0, 2, 4, 6)] * 3
    straight = trainer_for(config, total_samples=24)
    for batch in batches:
        straight.train([batch])
    first = trainer_for(config, total_samples=24)
    for batch in batches[:5]:
        first.train([batch])
    saved = io.BytesIO()
    torch.save(first.state_dict(), saved)
    saved.seek(0)
    second = trainer_for(config, total_samples=24)
    second.load_state_dict(torch.load(saved, weights_only=True))
    for batch in batches[5:]:
        second.train([batch])
    assert second.progress == straight.progress
    for name, value in straight.model.state_dict().items():
        torch.testing.assert_close(second.model.state_dict()[name], value)
    for name, value in straight.average.state_dict().items():
        torch.testing.assert_close(second.average.state_dict()[name], value)


def validation_sums(rank: int, shares: list[list[list[str]]]) -> tuple[float, Sums]:
    trainer = trainer_for(OptimConfig(), total_samples=1)
    validation = trainer.validate(batch_of(texts) for texts in shares[rank])
    return validation.loss, validation.sums


def test_validation_counts_every_sample_once_however_it_is_shared_out() -> None:
    whole = [["12", "345"], ["67"], ["8901", "223", "4"]]
    loss, sums = validation_sums(0, [whole])
    assert sums.count == 6
    for shared_loss, shared in in_world(2, validation_sums, [whole[:2], whole[2:]]):
        assert shared == sums
        assert abs(shared_loss - loss) < 1e-5


def test_weights_are_averaged() -> None:
    trainer = trainer_for(OptimConfig(ema_decay=0.5), total_samples=100)
    name, weight = next(iter(trainer.model.named_parameters()))
    trainer.train([batch_of(["12"])])
    after_one = weight.detach().clone()
    averaged = dict(trainer.average.module.named_parameters())[name]
    torch.testing.assert_close(averaged, after_one)  # the first update copies
    trainer.train([batch_of(["34"])])
    keep = min(0.5, 2 / 11)
    torch.testing.assert_close(averaged, keep * after_one + (1 - keep) * weight.detach())


def test_a_factor_of_0_freezes_weights_and_statistics_and_the_longest_prefix_frees_them() -> None:
    scales = {"backbone": 0.0, "backbone.layers.8": 1.0, "head": 0.0}
    trainer = trainer_for(OptimConfig(lr=5e-3, lr_scales=scales), total_samples=16)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    for _ in range(2):
        trainer.train([batch_of(EIGHT)])
    moved = {
        name
        for name, value in trainer.model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    trained = {name for name in before if name.startswith(("rnn.", "backbone.layers.8."))}
    assert moved == trained
    assert {name for name, p in trainer.model.named_parameters() if p.grad is None} == {
        name for name, _ in trainer.model.named_parameters() if name not in trained
    }
