"""Optimizer, schedule and weight average, each decided by ``OptimConfig`` alone.

The schedule is a function of the share of samples seen, not of steps: it is the same for
any number of workers and goes on where it was after a resume.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from crnn.training.optim_config import OptimConfig

_Tensors = tuple[Tensor, ...] | list[Tensor]


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """One parameter group for each (learning rate factor, decayed or not); none of a factor of 0.

    Raises:
        ValueError: when a prefix of ``lr_scales`` fits no parameter, or they leave nothing to
            train.
    """
    unused = set(config.lr_scales)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        prefixes = _prefixes(name, config)
        unused.difference_update(prefixes)
        scale = _scale(name, config)
        if parameter.requires_grad and scale:
            groups.setdefault((scale, parameter.ndim > 1), []).append(parameter)
    if unused:
        parts = sorted({name.split(".")[0] for name, _ in model.named_parameters()})
        raise ValueError(
            f"lr_scales names {sorted(unused)}, with which no parameter's name begins; expected "
            f"names that begin with one of {parts}"
        )
    if not groups:
        raise ValueError(
            f"lr_scales is {config.lr_scales}, with which nothing is trained; expected a factor "
            "above 0 for some parameters"
        )
    param_groups = [
        {
            "params": parameters,
            "scale": scale,
            "lr": config.lr * scale,
            "weight_decay": config.weight_decay if decayed else 0.0,
        }
        for (scale, decayed), parameters in groups.items()
    ]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(param_groups, lr=config.lr, betas=(0.9, 0.99), foreach=True)
    if config.optimizer == "adadelta":
        return torch.optim.Adadelta(param_groups, lr=config.lr, foreach=True)
    return torch.optim.SGD(param_groups, lr=config.lr, momentum=0.9, nesterov=True, foreach=True)


def frozen_norms(model: nn.Module, config: OptimConfig) -> list[nn.Module]:
    """The batch norms at a factor of 0: their statistics are to stay too."""
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not _scale(name, config)
    ]


def freeze(model: nn.Module, config: OptimConfig) -> None:
    """No gradients where the factor is 0, so that none are computed."""
    for name, parameter in model.named_parameters():
        if not _scale(name, config):
            parameter.requires_grad_(False)


def _prefixes(name: str, config: OptimConfig) -> list[str]:
    """Those of ``lr_scales`` that the name of a parameter or module begins with."""
    return [p for p in config.lr_scales if name == p or name.startswith(p + ".")]


def _scale(name: str, config: OptimConfig) -> float:
    prefixes = _prefixes(name, config)
    return config.lr_scales[max(prefixes, key=len)] if prefixes else 1.0


def lr_factor(config: OptimConfig, progress: float) -> float:
    """The learning rate as a share of its peak; ``progress`` is samples seen / all samples.

    ``one_cycle`` after Smith & Topin (2018), without the momentum cycle.
    """
    if config.schedule == "constant":
        return min(1.0, progress / config.warmup) if config.warmup and progress else 1.0
    progress = min(1.0, progress)
    if progress < config.warmup:
        rising = progress / config.warmup
        if config.schedule == "one_cycle":
            rising = 0.5 - 0.5 * math.cos(math.pi * rising)
        return 0.04 + 0.96 * rising
    falling = (progress - config.warmup) / (1 - config.warmup)
    return config.final_factor + (1 - config.final_factor) * 0.5 * (1 + math.cos(math.pi * falling))


def set_lr(optimizer: torch.optim.Optimizer, config: OptimConfig, progress: float) -> float:
    """Every group's rate for this ``progress``; returns the unscaled one."""
    lr = config.lr * lr_factor(config, progress)
    for group in optimizer.param_groups:
        group["lr"] = lr * group["scale"]
    return lr


def weight_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and buffers, with a short memory at first."""

    @torch.no_grad()
    def blend(averaged: _Tensors, current: _Tensors, count: Tensor | int) -> None:
        seen = int(count)
        keep = min(decay, (1 + seen) / (10 + seen))
        for old, new in zip(averaged, current, strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - keep)
            else:
                old.copy_(new)

    return AveragedModel(model, multi_avg_fn=blend, use_buffers=True)
