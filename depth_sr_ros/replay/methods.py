"""The METHOD of a replay: auto, single, guided or a network's name, as settings."""

from __future__ import annotations

from typing import Any

from depth_sr_ros.choices import MODES
from depth_sr_ros.models import list_models, model_class


def method_settings(text: str) -> dict[str, Any]:
    """The fields of `Settings` that METHOD sets: one of `MODES`, or a network's name, which implies its mode.

    Raises:
        ValueError: neither.
    """
    if text in MODES:
        return {"mode": text}
    if text not in list_models():
        raise ValueError(f"unknown method {text!r}; choose one of {', '.join(MODES)} or {', '.join(list_models())}")
    mode = "guided" if model_class(text).requires_guide else "single"
    return {"mode": mode, f"method_{mode}": text}
