"""Says after a long pass what was accepted and refused."""

import os

from tests.fuzz.runner import TALLIES


def pytest_terminal_summary(terminalreporter):
    if not TALLIES or "DKPR_FUZZ" not in os.environ:
        return
    terminalreporter.write_sep("-", f"hostile input, seed {os.environ.get('DKPR_FUZZ_SEED', 0)}")
    terminalreporter.write_line(f"{'target':24}{'accepted':>10}{'refused':>10}{'slowest, s':>12}")
    for name, tally in TALLIES.items():
        terminalreporter.write_line(
            f"{name:24}{tally.accepted:>10}{tally.refused:>10}{tally.slowest:>12.2f}"
        )
    accepted = sum(tally.accepted for tally in TALLIES.values())
    refused = sum(tally.refused for tally in TALLIES.values())
    terminalreporter.write_line(f"{'all ' + str(accepted + refused):24}{accepted:>10}{refused:>10}")
