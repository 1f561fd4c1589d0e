"""Version, date and address are the same wherever they are written."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from catkin_pkg.changelog import get_changelog_from_path
from catkin_pkg.package import parse_package

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def package():
    return parse_package(str(ROOT / "package.xml"))


@pytest.fixture(scope="module")
def citation() -> dict:
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_the_citation_is_of_this_version(package, citation):
    assert citation["cff-version"] == "1.2.0" and citation["title"] == package.name
    assert citation["version"] == package.version and citation["license"] == "Apache-2.0"
    assert citation["authors"][0]["email"] == package.maintainers[0].email
    assert len(citation["references"]) == 4
    for paper in citation["references"]:
        assert paper["title"] and paper["authors"] and 2021 <= paper["year"] <= 2023


def test_the_changelog_has_this_version_with_the_date_of_the_citation(package, citation):
    changelog = get_changelog_from_path(str(ROOT), package.name)
    released = {version: when for version, when, _ in changelog.foreach_version()}
    assert package.version in released
    assert released[package.version].date() == citation["date-released"]
    assert all(content.strip() for content in map(str, changelog.get_content_of_version(package.version)))
    assert max(when.date() for when in released.values() if when) <= date.today()


def test_issue_templates_have_a_name_and_a_purpose():
    templates = list((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))
    assert len(templates) == 3
    for path in templates:
        front = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", path.read_text(), re.DOTALL)[1])
        assert front["name"] and front["about"] and front["labels"], path.name
