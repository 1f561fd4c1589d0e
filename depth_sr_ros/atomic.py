"""Writing files so that a crash, a kill or a full disk leaves either the previous content or the new one."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path


def write_file(path: str | Path, data: bytes | str) -> None:
    """Replace the content of `path` by `data` (text as UTF-8), all or nothing.

    The data goes to a temporary file in the same folder, is flushed to the disk and renamed over `path`. Missing
    parent folders are made, symbolic links are followed, the permissions of a file that is replaced are kept. Devices
    and pipes are written to directly.

    Raises:
        OSError: with `path` as `filename`; a regular file keeps its previous content and no temporary file remains.
    """
    write_files([(path, data)])


def write_files(files: Iterable[tuple[str | Path, bytes | str]]) -> None:
    """Replace several files that belong together: none is replaced before all of them are on the disk.

    Raises:
        OSError: as `write_file`.
    """
    staged: list[tuple[Path, Path]] = []
    path: str | Path = ""
    try:
        for path, data in files:
            content = data.encode() if isinstance(data, str) else data
            if Path(path).is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if Path(path).exists() and not Path(path).is_file():
                with open(path, "wb", buffering=0) as device:
                    _write_all(device.fileno(), content)
                continue
            target = Path(os.path.realpath(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
            staged.append((temporary, target))
            _write_temporary(temporary, target, content)
        while staged:
            temporary, path = staged[0]
            os.replace(temporary, path)
            staged.pop(0)
    except OSError as error:
        raise OSError(error.errno, f"cannot write: {error.strerror or error}", str(path)) from error
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)


def _write_temporary(temporary: Path, target: Path, content: bytes) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        if target.exists():
            os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
        _write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
