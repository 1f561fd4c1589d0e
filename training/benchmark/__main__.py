import os

# Before torch starts its threads: on a busy machine spinning ones make every small operation wait for the others.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from .cli import main

raise SystemExit(main())
