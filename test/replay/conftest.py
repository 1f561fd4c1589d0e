"""Lets the tests of this folder import `real_bags`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # pytest's importlib mode leaves test folders off the path
