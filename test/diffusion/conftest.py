from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# The suite imports test files by path (importlib mode), so a helper beside them has to be made importable.
_SPEC = importlib.util.spec_from_file_location("diffusion_scenes", Path(__file__).with_name("scenes.py"))
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules["diffusion_scenes"] = _MODULE
_SPEC.loader.exec_module(_MODULE)
