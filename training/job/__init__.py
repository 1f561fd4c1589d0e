"""Several trainings within a fixed time each, on one GPU, resumable, with weights small enough to send back."""

from .command import main
from .entries import ENTRIES, JobEntry
from .slice import Slice

__all__ = ["ENTRIES", "JobEntry", "Slice", "main"]
