"""Generated parts of a Markdown page: between ``<!-- benchmark:NAME -->`` and ``<!-- /benchmark:NAME -->``."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from depth_sr_ros.atomic import write_file

BLOCK = re.compile(r"<!-- benchmark:(?P<name>[\w-]+) -->\n(?P<body>.*?)<!-- /benchmark:(?P=name) -->", re.DOTALL)


class PageError(ValueError):
    """A Markdown page that is not there or has no block for what is written."""


def write_blocks(page: Path, texts: dict[str, str]) -> list[str]:
    """Put new text into the page's blocks of these names; everything else stays as it is.

    Returns:
        The names of the blocks that were written.

    Raises:
        PageError: no such page, or none of these blocks in it.
    """
    check_blocks(page, texts)
    written = []

    def renew(match: re.Match) -> str:
        name = match["name"]
        if name not in texts:
            return match[0]
        written.append(name)
        return f"<!-- benchmark:{name} -->\n{texts[name].strip()}\n<!-- /benchmark:{name} -->"

    write_file(page, BLOCK.sub(renew, page.read_text()))
    return written


def check_blocks(page: Path, wanted: Collection[str]) -> None:
    """Raise `PageError` unless the page has a block of one of the wanted names: before a long run, not after it."""
    if not page.is_file():
        raise PageError(f"no page {page}: it must be there, with its blocks")
    found = [match["name"] for match in BLOCK.finditer(page.read_text())]
    if not set(found) & set(wanted):
        first = next(iter(wanted))
        raise PageError(
            f"{page} has no block for these numbers ({', '.join(wanted)}): put '<!-- benchmark:{first} -->' and "
            f"'<!-- /benchmark:{first} -->' on lines of their own (found: {', '.join(found) or 'none'})"
        )
