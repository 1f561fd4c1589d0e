"""Training methods, one LightningModule per paper, and plain supervised training for any network."""

from .base import DepthSRMethod
from .supervised import Supervised

__all__ = ["DepthSRMethod", "Supervised"]
