"""Whatever a user brings is read, or refused by the documented error in a line, soon and cheaply.

``make fuzz`` is the long pass. DKPR_FUZZ: inputs of each target; DKPR_FUZZ_SEED: other ones;
DKPR_FUZZ_START: number of the first.
"""

import os

import pytest

from tests.fuzz.runner import TALLIES, Session
from tests.fuzz.targets import TARGETS

COUNT = int(os.environ.get("DKPR_FUZZ", "60"))
SEED = int(os.environ.get("DKPR_FUZZ_SEED", "0"))
START = int(os.environ.get("DKPR_FUZZ_START", "0"))
# With fewer, shares say nothing.
FEW = 40


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_hostile_input(target, tmp_path):
    count = max(1, COUNT // target.cost)
    with Session(target, tmp_path) as session:
        session.attack(SEED, START, count)
    tally = TALLIES[target.name] = session.tally
    if count >= FEW:
        assert min(tally.accepted, tally.refused) >= target.least * count, tally
