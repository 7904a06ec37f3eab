"""Copies MathJax, one file with its fonts, out of its wheel: the site needs no network."""

from importlib import metadata
from pathlib import Path

from sphinx.util.osutil import copyfile, ensuredir

WHEEL = "sphinx-mathjax-offline"
NAME = "tex-svg.js"


def copy_mathjax(app, error) -> None:
    if error is not None or app.builder.format != "html":
        return
    (source,) = (f.locate() for f in metadata.files(WHEEL) if f.match(f"static/mathjax/{NAME}"))
    folder = Path(app.outdir, "_static", "mathjax")
    ensuredir(str(folder))
    copyfile(str(source), str(folder / NAME))


def setup(app):
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
