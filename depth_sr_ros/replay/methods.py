"""The METHOD of a replay: auto, single, guided or a network's name, as parameters of the node or the upsampler."""

from __future__ import annotations

from dataclasses import dataclass

from depth_sr_ros.choices import MODES
from depth_sr_ros.models import diffuses, list_models, model_class


@dataclass(frozen=True)
class MethodChoice:
    """What the user asked for.

    Attributes:
        mode: auto, single or guided: the node's parameter `mode`.
        network: a name of the registry, or None for the default of the mode.
    """

    mode: str
    network: str | None = None

    @classmethod
    def parse(cls, text: str) -> MethodChoice:
        """From METHOD: one of `MODES`, or a network's name, which implies its mode.

        Raises:
            ValueError: neither.
        """
        if text in MODES:
            return cls(text)
        if text not in list_models():
            raise ValueError(f"unknown method {text!r}; choose one of {', '.join(MODES)} or {', '.join(list_models())}")
        return cls("guided" if model_class(text).requires_guide else "single", text)

    def node_parameters(self) -> dict[str, str]:
        """The node's parameters that carry this choice."""
        named = {f"method_{self.mode}": self.network} if self.network else {}
        return {"mode": self.mode, **named}

    @property
    def may_guide(self) -> bool:
        """Whether RGB can have a part in it."""
        return self.mode != "single" and (not self.network or model_class(self.network).requires_guide)

    def check_kernel(self, lr_kernel: str | None) -> None:
        """Check that a method which uses an LR kernel can come of this choice.

        Raises:
            ValueError: `lr_kernel` is given and none can.
        """
        if lr_kernel is not None and (self.mode == "single" or (self.network and not diffuses(self.network))):
            raise ValueError(
                f"lr_kernel {lr_kernel!r} came with method {self.network or self.mode!r}, which does not diffuse and "
                f"is held to no kernel: leave it out, or choose one of auto, guided, "
                f"{', '.join(filter(diffuses, list_models()))}"
            )
