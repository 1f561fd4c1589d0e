"""``python -m training fit|validate|test --config NAME.yaml --data.scale N`` and ``python -m training export|job``.

The Lightning commands take every argument of the trainer, the training module and the data; ``--help`` lists them. NAME
is a path or a file of training/configs/. A config may start from others: ``base: [trainer.yaml, ...]`` names files of
that folder, merged in order below it, and ``at_scale: {8: ...}`` gives what is laid over it for one scale.
"""

from __future__ import annotations

import sys

import torch

from depth_sr_ros.inference.process import keep_freed_memory

from .cli import run
from .export import main as export
from .job import main as job


def main() -> int:
    """Run one command; returns the exit code."""
    # Before the first parallel region: threads started later inherit the setting. Activations of 1e-39 otherwise
    # slow a CPU down several times.
    torch.set_flush_denormal(True)
    keep_freed_memory()
    if sys.argv[1:2] == ["export"]:
        return export(sys.argv[2:])
    if sys.argv[1:2] == ["job"]:
        return job(sys.argv[2:])
    return run()


if __name__ == "__main__":
    sys.exit(main())
