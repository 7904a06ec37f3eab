"""The built site: it builds without a warning, and every link leads somewhere."""

from __future__ import annotations

import html.parser
import importlib.util
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

ROOT = Path(__file__).parents[2]
needs_sphinx = pytest.mark.skipif(
    importlib.util.find_spec("furo") is None, reason="make docs has not been run"
)


class Links(html.parser.HTMLParser):
    """Collects what a page links to and what can be linked to in it."""

    def __init__(self):
        super().__init__()
        self.links, self.anchors = [], set()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if "id" in attributes:
            self.anchors.add(attributes["id"])
        for name in ("href", "src"):
            if attributes.get(name):
                self.links.append(attributes[name])


def parse(path: Path) -> Links:
    links = Links()
    links.feed(path.read_text(encoding="utf-8"))
    return links


@needs_sphinx
def test_every_link_leads_somewhere(site):
    pages = {path: parse(path) for path in site.rglob("*.html")}
    assert len(pages) > 20
    broken = []
    for path, page in pages.items():
        for link in page.links:
            address, anchor = urldefrag(link)
            if re.match(r"[a-z]+:", address):
                continue
            target = path if not address else path.parent / unquote(address).split("?")[0]
            target = target.resolve()
            if not target.is_file():
                broken.append((path.name, link))
            elif anchor and target.suffix == ".html":
                known = pages[target].anchors if target in pages else parse(target).anchors
                if unquote(anchor) not in known:
                    broken.append((path.name, link))
    assert not broken


@needs_sphinx
def test_nothing_is_loaded_from_elsewhere(site):
    """The site works without a network: only what a reader clicks on leads away."""
    loads = re.compile(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="(https?:)?//')
    for path in site.rglob("*.html"):
        assert not loads.search(path.read_text(encoding="utf-8")), path.name
    for path in (site / "_static").rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", path.read_text(encoding="utf-8")), path


@needs_sphinx
def test_formulas_have_their_program(site):
    page = (site / "conventions.html").read_text(encoding="utf-8")
    (script,) = re.findall(r'src="([^"?]*mathjax[^"?]*)', page)
    assert (site / script).stat().st_size > 1_000_000


@needs_sphinx
@pytest.mark.parametrize(
    "page",
    "index demo conventions results design troubleshooting search tutorials/index api/nn".split(),
)
def test_pages_that_must_be_there(site, page):
    assert (site / f"{page}.html").is_file()


@needs_sphinx
def test_every_public_name_is_in_the_reference(site):
    import gluon_dkpr.data
    import gluon_dkpr.geometry
    import gluon_dkpr.metrics
    import gluon_dkpr.nn
    import gluon_dkpr.skeleton
    import gluon_dkpr.viz

    for room in ("data", "geometry", "metrics", "nn", "skeleton", "viz"):
        module = getattr(gluon_dkpr, room)
        anchors = parse(site / "api" / f"{room}.html").anchors
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value):
                assert f"gluon_dkpr.{room}.{name}" in anchors


MARKDOWN = [*ROOT.glob("*.md")] + [
    p for p in (ROOT / "docs").rglob("*.md") if not p.relative_to(ROOT).parts[1].startswith("_")
]


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_of_markdown_lead_to_files(path):
    """As they are read on a code host, without Sphinx."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        address, _ = urldefrag(link)
        # Drawn or tabulated when the site is built.
        if address and "://" not in address and "_generated" not in address:
            assert (path.parent / address).exists(), link
