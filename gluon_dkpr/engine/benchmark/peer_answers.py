"""The way of every peer's program: one JSON object a line in, one a line back.

It waits for its input between the answers, so that a peer computes only when it is asked to.
"""

from __future__ import annotations

import json
import os
import sys


def serve(peer) -> None:
    """Answer until the input ends: ``{"do": METHOD, ...}`` calls a method of ``peer``."""
    # Whatever a library prints must not stand between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(peer, request.pop("do"))(**request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
