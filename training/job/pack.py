"""A folder with exactly the files that the job reads, for a machine that has only the checkout."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from depth_sr_ros.atomic import write_file

from ..data import SOURCES, Source
from ..data.sources.scene_files import FileSource
from ..data.splits import refuse_test_scenes
from .entries import JobEntry

MANIFEST = "manifest.json"


class PackError(ValueError):
    """Data that cannot be packed, or a pack that is not whole. The message says what to do."""


def pack(entries: Iterable[JobEntry], root: Path, folder: Path, max_mb: float) -> int:
    """Copy what `entries` read under `root` to `folder`, with a manifest; returns the number of bytes.

    Raises:
        PackError: more than `max_mb` megabytes (10^6 bytes), or a file outside `root`.
        ValueError: a Middlebury 2005 scene among the sources.
        FileNotFoundError: a source is not there.
    """
    root = root.resolve()
    files = sorted({path.resolve() for entry in entries for path in files_of(entry)})
    outside = [path for path in files if not path.is_relative_to(root)]
    if outside:
        raise PackError(f"{outside[0]} lies outside of the data root {root}: only files below it can be packed")
    size = sum(path.stat().st_size for path in files)
    if size > max_mb * 1e6:
        raise PackError(
            f"{len(files)} files of {size / 1e6:.1f} MB are over the limit of {max_mb:g} MB: choose fewer entries with "
            "--only, or raise --max-pack-mb"
        )
    manifest = {}
    for path in files:
        name = path.relative_to(root)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
        manifest[name.as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    write_file(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return size


def files_of(entry: JobEntry) -> list[Path]:
    """Every file that the entry's sources read."""
    files = []
    for source in sources_of(entry):
        refuse_test_scenes(source)
        if isinstance(source, FileSource):
            files += source.files()
    return files


def sources_of(entry: JobEntry) -> list[Source]:
    """The entry's sources, built."""
    classes = {source.__name__: source for source in SOURCES.values()}
    data = entry.merged()["data"]
    given = [*data["sources"], *data.get("validation_sources", [])]
    return [classes[each["class_path"].rpartition(".")[2]](**each.get("init_args", {})) for each in given]


def check_pack(root: Path) -> None:
    """Raise PackError when `root` has a manifest and one of its files is missing or differs."""
    if not (root / MANIFEST).is_file():
        return
    manifest = json.loads((root / MANIFEST).read_text())
    wrong = [name for name, kept in manifest.items() if not _same(root / name, kept["sha256"])]
    if wrong:
        raise PackError(f"{root} is not whole: {len(wrong)} files are missing or differ, {wrong[:3]}. Pack it again")


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _same(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest
