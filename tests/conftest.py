"""Fixtures that every test can ask for."""

import os
import random
import signal

import numpy as np
import pytest
from hypothesis import settings

# The same examples in every run; a failure can be repeated. The long run sets its own profile.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


# A shell that starts the tests in the background makes their children deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def seed(request):
    """Seed every source of randomness; the number is printed when a test fails."""
    number = int(os.environ.get("DKPR_TEST_SEED", "0"))
    random.seed(number)
    np.random.seed(number)
    request.node.add_report_section("setup", "seed", f"DKPR_TEST_SEED={number}")
    return number


@pytest.fixture(params=[False, True], ids=["imperative", "hybridized"])
def hybridize(request):
    """Whether the block under test is hybridized."""
    return request.param
