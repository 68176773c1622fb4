import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.training.optim import build_optimizer, lr_factor, set_lr
from crnn.training.optim_config import OptimConfig
from tests.crnn.training.pictures import small_model


@given(st.floats(0, 1), st.sampled_from(["one_cycle", "cosine", "constant"]))
def test_the_schedule_stays_within_its_bounds(progress: float, schedule: str) -> None:
    config = OptimConfig(schedule=schedule)  # type: ignore[arg-type]
    assert 0 < lr_factor(config, progress) <= 1


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_the_schedule_rises_peaks_and_ends_low(schedule: str) -> None:
    config = OptimConfig(schedule=schedule, warmup=0.2, final_factor=0.01)  # type: ignore[arg-type]
    assert lr_factor(config, 0.0) == pytest.approx(0.04)
    assert lr_factor(config, 0.2) == pytest.approx(1.0)
    assert lr_factor(config, 0.6) == pytest.approx(0.01 + 0.99 * 0.5)
    assert lr_factor(config, 1.0) == pytest.approx(0.01)


def test_the_longest_prefix_decides_a_parameters_rate() -> None:
    config = OptimConfig(lr=0.01, lr_scales={"backbone": 0.1, "backbone.layers.0": 0.5})
    model = small_model()
    optimizer = build_optimizer(model, config)
    set_lr(optimizer, config, 1.0)
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    low = 0.01 * config.final_factor
    named = dict(model.named_parameters())
    assert rates[id(named["head.weight"])] == pytest.approx(low)
    assert rates[id(named["backbone.layers.0.0.weight"])] == pytest.approx(0.5 * low)
    assert rates[id(named["backbone.layers.1.0.weight"])] == pytest.approx(0.1 * low)
    assert len(rates) == len(named)


def test_norms_and_biases_are_not_decayed() -> None:
    model = small_model()
    optimizer = build_optimizer(model, OptimConfig(weight_decay=0.1))
    for group in optimizer.param_groups:
        assert all((p.ndim > 1) == (group["weight_decay"] > 0) for p in group["params"])


def test_a_prefix_that_fits_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="bakbone"):
        build_optimizer(small_model(), OptimConfig(lr_scales={"bakbone": 0.1}))


def test_nothing_to_train_is_refused() -> None:
    scales = {"backbone": 0.0, "rnn": 0.0, "head": 0.0}
    with pytest.raises(ValueError, match="nothing is trained"):
        build_optimizer(small_model(), OptimConfig(lr_scales=scales))
