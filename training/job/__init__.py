"""Several trainings within a fixed time each, on one GPU, resumable, with weights small enough to send back."""

from .command import main
from .entries import ENTRIES, Entry
from .slice import Slice

__all__ = ["ENTRIES", "Entry", "Slice", "main"]
