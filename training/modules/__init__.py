"""Training methods, one LightningModule per paper, and plain supervised training for any network."""

from .base import DepthSRMethod
from .bridgenet import BridgeNet
from .compiled import CompileNetwork
from .csan import CSAN
from .ctkt import CTKT
from .dada import DADA
from .supervised import Supervised

__all__ = ["CSAN", "CTKT", "DADA", "BridgeNet", "CompileNetwork", "DepthSRMethod", "Supervised"]
