"""Settings of the whole process that frames on a CPU need, for the programs that run them: node, CLI, benchmark.

A library does not set these behind its user's back. Call `prepare_process` from a program of your own where
`DepthUpsampler` works on a CPU, best before torch is imported.
"""

from __future__ import annotations

import ctypes
import os

# <malloc.h> of glibc
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_MOST = 2**31 - 1


def prepare_process() -> None:
    """Let OpenMP threads sleep while they wait, and keep freed memory for the next frame.

    Spinning threads make a busy machine crawl: 29 s a frame were seen in place of 0.7 s. They are told so by a variable
    that torch reads when it is imported; one that the user has set stays.

    Networks on full-size images make and free maps of 100 MB. By default glibc gives each back to the system and gets
    it again page by page, which took half of a frame's CPU time: 2.5 s became 1.3 s for DSRNet lite at x4 on 1088 x
    1376 pixels. The process then stays as large as its largest frame. Other C libraries are left as they are.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Serve all allocations from one heap that does not shrink below 2 GiB; False where the C library has no such
    setting."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    # a thread's own arena holds blocks of up to 64 MB, and larger ones would go through the system again
    settings = ((_M_ARENA_MAX, 1), (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _MOST))
    return all([bool(mallopt(name, value)) for name, value in settings])
