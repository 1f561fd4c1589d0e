"""Several trainings of a fixed time each on one GPU, resumable; weights are exported as float16 files."""

from .command import main
from .entries import ENTRIES, JobEntry
from .slice import Slice

__all__ = ["ENTRIES", "JobEntry", "Slice", "main"]
