"""Training in plain PyTorch, on one process or on many under torch.distributed.

The way of a batch: ``batch.ReadyBatch`` → ``step.train_step`` (loss, gradients, clipping,
skip) → ``schedule`` and the optimizer → ``trainer.Trainer``, which owns the state.
"""
