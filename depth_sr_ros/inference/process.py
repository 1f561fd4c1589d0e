"""Settings of the whole process that frames on a CPU need, for the programs that run them: node, CLI, benchmark.

A program of your own where `DepthUpsampler` works on a CPU gains from both too: `let_threads_sleep` counts only before
torch is imported, `keep_freed_memory` best before large arrays are made.
"""

from __future__ import annotations

import ctypes
import os

# <malloc.h> of glibc
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_MOST = 2**31 - 1


def let_threads_sleep() -> None:
    """OpenMP threads sleep while they wait, unless OMP_WAIT_POLICY says otherwise: spinning ones make a busy machine
    crawl (29 s a frame were seen in place of 0.7 s)."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def keep_freed_memory() -> bool:
    """Keep freed memory for the next frame: all allocations come from one heap that does not shrink below 2 GiB.

    Networks on full-size images make and free maps of 100 MB. By default glibc gives each back to the system and gets
    it again page by page, which took half of a frame's CPU time: 2.5 s became 1.3 s for DSRNet lite at x4 on 1088 x
    1376 pixels. The process then stays as large as its largest frame.

    Returns:
        False where nothing was changed: the user has set a MALLOC_ variable of glibc's, or the C library has no such
        setting.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    # a thread's own arena holds blocks of up to 64 MB, and larger ones would go through the system again
    settings = ((_M_ARENA_MAX, 1), (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _MOST))
    return all([bool(mallopt(name, value)) for name, value in settings])
