"""The table of everything that is attacked."""

from tests.fuzz import data_targets, model_targets, text_targets, tool_targets

TARGETS = [
    *text_targets.TARGETS,
    *data_targets.TARGETS,
    *model_targets.TARGETS,
    *tool_targets.TARGETS,
]
