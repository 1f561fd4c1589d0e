"""Training methods, one LightningModule per paper, and plain supervised training for any network."""

from .bridgenet import BridgeNet
from .compiled import CompileNetwork
from .csan import CSAN
from .ctkt import CTKT
from .dada import DADA
from .module import DepthSRModule
from .supervised import Supervised

__all__ = ["CSAN", "CTKT", "DADA", "BridgeNet", "CompileNetwork", "DepthSRModule", "Supervised"]
