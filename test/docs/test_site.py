"""The site that `make docs` builds: complete in itself, with the docstrings of the public interface."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the site is built with mkdocs")
pytest.importorskip("mkdocstrings", reason="the API reference is built with mkdocstrings")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_no_page_loads_anything_from_the_network(site):
    pages = list(site.rglob("*.html"))
    assert pages
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*\bsrc=\"?(https?:[^\"> ]+)", text)
        loaded += re.findall(r"<link[^>]*rel=\"?(?:stylesheet|icon|preconnect)[^>]*href=\"?(https?:[^\"> ]+)", text)
        assert not loaded, page.name
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import )[\"']?https?:", sheet.read_text()), sheet.name


@pytest.mark.parametrize(
    "page, name",
    [
        ("inference", "depth_sr_ros.inference.upsampler.DepthUpsampler.upsample"),
        ("models", "depth_sr_ros.models.create_model"),
        ("diffusion", "depth_sr_ros.diffusion.solver.solve_equilibrium"),
        ("training", "training.data.sources.folder.PairFolder"),
    ],
)
def test_the_reference_has_the_public_interface(site, page, name):
    assert f'id="{name}"' in (site / "reference" / f"{page}.html").read_text()
