"""What of the known data sets lies under a folder, and what is missing, by file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .files import visible
from .sample import Source, existing_root
from .sources import SOURCES, Middlebury2003, Middlebury2005, PairFolder, SyntheticScenes, create_source
from .sources.nyuv2 import FILE_NAME, NYUv2

DEPTH = 2  # levels of folders below ROOT that are looked into
SHOWN = 8  # missing files shown per data set without --all


@dataclass
class Finding:
    """One data set that was found (or not: `path` None).

    Attributes:
        layout: the registry's name.
        path: where.
        samples: number of usable samples.
        colour: whether they come with colour.
        use: "train" or "test only".
        missing: files and folders the layout calls for that are not there.
        problem: why it cannot be read although it looks like this layout.
    """

    layout: str
    path: str | None = None
    samples: int = 0
    colour: bool = False
    use: str = "train"
    missing: list[str] = field(default_factory=list)
    problem: str = ""


def check(root: str | Path) -> list[Finding]:
    """Look for every known layout in `root` and its folders down to two levels.

    Raises:
        FileNotFoundError: `root` does not exist.
    """
    root = existing_root(root, "any of the known data sets", "check")
    findings: list[Finding] = []
    for layout, reader in SOURCES.items():
        if reader is SyntheticScenes:
            continue
        found = [finding for folder in _folders(root) if (finding := _try(reader, folder)) is not None]
        findings += _outermost(found) or [Finding(layout, use=_use(reader))]
    return findings


def _folders(root: Path) -> list[Path]:
    level, folders = [root], [root]
    for _ in range(DEPTH):
        level = [child for folder in level if folder.is_dir() for child in visible(folder.iterdir()) if child.is_dir()]
        folders += level
    return folders


def _try(reader: type[Source], folder: Path) -> Finding | None:
    """What `reader` finds right in `folder`; None when it does not look like this layout at all."""
    if reader is NYUv2 and not (folder / FILE_NAME).is_file():
        return None
    variants = [{"size": size} for size in ("quarter", "half", "full")] if reader is Middlebury2003 else [{}]
    if reader is NYUv2:
        variants = [{"split": "all"}]
    result = None
    for options in variants:
        try:
            source = create_source(reader.layout, root=folder, **options)
        except FileNotFoundError:
            continue
        except ValueError as error:
            return Finding(reader.layout, str(folder), use=_use(reader), problem=str(error))
        missing = [str(item) for item in source.missing()]
        if result is None:
            result = Finding(reader.layout, str(folder), 0, source.has_guide, _use(reader), missing)
        result.samples += len(source)
    return result


def _use(reader: type[Source]) -> str:
    return "test only" if reader is Middlebury2005 else "train"


def _outermost(findings: list[Finding]) -> list[Finding]:
    """Layouts that search below their root are found in several nested folders: keep the outermost."""
    kept: list[Finding] = []
    for finding in findings:
        assert finding.path is not None  # only of what was found
        above = {str(parent) for parent in Path(finding.path).parents}
        if not any(other.path in above for other in kept):
            kept.append(finding)
    return kept


def as_json(findings: list[Finding]) -> list[dict]:
    """Plain values, one dict per finding."""
    return [asdict(finding) for finding in findings]


def show(findings: list[Finding], console: Console, everything: bool = False) -> None:
    """Print a table of what was found, then what is missing, then what was not found at all."""
    table = Table(title="Found", title_justify="left")
    for column in ("layout", "samples", "colour", "use", "missing", "where"):
        table.add_column(column, justify="right" if column in ("samples", "missing") else "left", overflow="fold")
    found = [finding for finding in findings if finding.path is not None]
    for finding in found:
        missing = f"[red]{finding.problem}" if finding.problem else str(len(finding.missing) or "-")
        colour = "yes" if finding.colour else "no"
        samples = f"[green]{finding.samples}"
        table.add_row(finding.layout, samples, colour, finding.use, missing, finding.path)
    console.print(table if found else "[yellow]Found none of the known data sets.")
    for finding in found:
        shown = finding.missing if everything else finding.missing[:SHOWN]
        if shown:
            console.print(f"\n[bold]{finding.layout}[/] at {finding.path} is missing:")
        for item in shown:
            console.print(f"  {item}", highlight=False, soft_wrap=True)
        if len(finding.missing) > len(shown):
            console.print(f"  ... and {len(finding.missing) - len(shown)} more (--all shows them)")
    absent = [finding.layout for finding in findings if finding.path is None]
    if absent:
        console.print("\n[bold]Not found[/], and what was looked for:")
        for layout in absent:
            console.print(f"  {layout}: {SOURCES[layout].looked_for}", highlight=False, soft_wrap=True)
    if any(finding.layout == PairFolder.layout for finding in found):
        console.print("\nfolder = your own pairs; any depth/ + color/ folders look like it.", style="dim")
