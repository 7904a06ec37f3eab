"""Whether docs/cpp can be compiled here."""

import importlib.util
import os
import shutil
import subprocess
from typing import Optional


def missing() -> Optional[str]:
    """Return why it cannot, None if it can."""
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        return f"no C++ compiler: {compiler} is not there"
    if importlib.util.find_spec("nlohmann_json") is None:
        done = subprocess.run(
            [compiler, "-E", "-x", "c++", "-"],
            input=b"#include <nlohmann/json.hpp>",
            capture_output=True,
        )
        if done.returncode:
            return "nlohmann/json.hpp is not there: tools/bootstrap.sh cpp"
    return None
