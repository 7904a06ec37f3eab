"""Two habits of our docstrings that napoleon reads otherwise."""

import re

from sphinx.ext.napoleon.docstring import GoogleDocstring

SEVERAL = re.compile(r"^:ivar (\w+(?:, \w+)+):(.*)$")


def keep_text(self):
    """The docstring of a property is text; napoleon takes what is before a colon for a type."""
    return self._consume_to_end()


def split_names(app, what, name, obj, options, lines) -> None:
    """Write `lower, upper: ...` among attributes as two of them with one text."""
    split = []
    for line in lines:
        found = SEVERAL.match(line)
        if found:
            first, *others = found.group(1).split(", ")
            # The text may go on in the next line, so it stays with the last name.
            split += [f":ivar {one}: like ``{others[-1]}``" for one in (first, *others[:-1])]
            line = f":ivar {others[-1]}:{found.group(2)}"
        split.append(line)
    lines[:] = split


def setup(app):
    GoogleDocstring._parse_attribute_docstring = keep_text
    app.connect("autodoc-process-docstring", split_names, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
