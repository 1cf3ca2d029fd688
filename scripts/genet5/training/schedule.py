"""Learning rate as a function of the step alone, so that a resumed run needs no scheduler state."""

from __future__ import annotations

import math

from genet5.training.options import RunOptions


def learning_rate(step: int, total_steps: int, options: RunOptions) -> float:
    """Rate of optimizer step ``step`` (0 to ``total_steps`` - 1).

    It rises in a line to ``options.lr`` over the first ``warmup_ratio`` of the steps, then falls as
    ``options.scheduler`` says and reaches ``lr * min_lr_ratio`` at the last step. Before the first step it is 0.
    """
    if step < 0:
        return 0.0
    warmup = math.ceil(options.warmup_ratio * total_steps)
    if step < warmup:
        return options.lr * (step + 1) / warmup
    done = (step - warmup + 1) / max(1, total_steps - warmup)
    falling = {
        "cosine": 0.5 * (1 + math.cos(math.pi * done)),
        "linear": 1 - done,
        "constant": 1.0,
    }[options.scheduler]
    return options.lr * (options.min_lr_ratio + (1 - options.min_lr_ratio) * falling)
