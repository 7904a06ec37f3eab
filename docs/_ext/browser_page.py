"""Copies what the page in the browser loads into the site: the networks and what runs them.

The networks are in docs/demo. onnxruntime-web comes by `tools/bootstrap.sh web`, which `make docs`
calls; without it the site is built all the same, and the page says what it lacks.
"""

import sys
from pathlib import Path

from sphinx.util.osutil import copyfile, ensuredir

RUNTIME = Path(sys.prefix, "onnxruntime-web")


def copy_networks(app, error) -> None:
    if error is not None or app.builder.format != "html":
        return
    page = Path(app.outdir, "_static", "demo")
    networks = Path(app.srcdir, "demo")
    copy_all([*networks.glob("*.onnx"), *networks.glob("*.json")], page / "networks")
    runtime = sorted(RUNTIME.glob("*"))
    if not runtime:
        # No warning of Sphinx, which would end a build that can do without.
        print("docs: no onnxruntime-web, so demo.html has no networks; see tools/bootstrap.sh web",
              file=sys.stderr)  # fmt: skip
    copy_all(runtime, page / "onnxruntime-web")


def copy_all(sources, folder: Path) -> None:
    ensuredir(str(folder))
    for source in sources:
        copyfile(str(source), str(folder / source.name))


def setup(app):
    app.connect("build-finished", copy_networks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
