"""Generated parts of a Markdown page."""

import pytest

from training.markdown_blocks import PageError, write_blocks

BLOCK = "<!-- benchmark:{0} -->\nold\n<!-- /benchmark:{0} -->\n"


def test_blocks_are_renewed_and_the_rest_is_left(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n" + BLOCK.format("one") + "b\n" + BLOCK.format("two"))
    assert write_blocks(page, {"one": r"new \1", "three": "-"}) == ["one"]
    assert page.read_text() == "a\n" + BLOCK.format("one").replace("old", r"new \1") + "b\n" + BLOCK.format("two")
    with pytest.raises(PageError, match="put '<!-- benchmark:three -->'"):
        write_blocks(page, {"three": "-"})
