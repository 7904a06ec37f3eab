"""Configuration of the documentation; `make docs` builds it."""

import sys
import warnings
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS.parent)]

import gluon_dkpr  # noqa: E402

# MXNet and GluonCV speak to older NumPy; autodoc would print it.
warnings.filterwarnings("ignore", category=DeprecationWarning)

project = "gluon_dkpr"
author = "the authors of gluon_dkpr"
copyright = "Apache-2.0"
version = release = gluon_dkpr.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "docstrings",
    "drawings",
    "results",
    "mathjax_file",
    "browser_page",
]
exclude_patterns = ["_build", "_generated", "samples/README.md", "demo/README.md"]
suppress_warnings = ["config.cache"]

# Every reference must lead somewhere.
nitpicky = True
nitpick_ignore_regex = [
    # Of other projects, and the way in which our docstrings write types for people.
    ("py:.*", r"(mxnet|mx|numpy|np|pathlib|os|typing|cv2|matplotlib|collections)(\..*)?"),
    ("py:.*", r"(argparse|module|optional|Path|Array|Tensor|NoReturn)(\..*)?"),
]

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist", "attrs_inline", "attrs_block"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Inputs", "Outputs", ("Keys", "params_style")]
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "gluon_dkpr"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#b3430f",
        "color-brand-content": "#a63c0b",
        "color-brand-visited": "#8a4a2b",
        "code-font-size": "0.77em",
    },
    "dark_css_variables": {
        "color-brand-primary": "#ffa066",
        "color-brand-content": "#ff9a5c",
        "color-brand-visited": "#d99a78",
    },
}
pygments_style = "friendly"
pygments_dark_style = "monokai"

copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_line_continuation_character = "\\"

# One file that holds its fonts; see _ext/mathjax_file.py. Only pages with formulas load it.
mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "global"}}
