"""What a single input may cost: processor time and memory, measured."""

import contextlib
import resource
import signal
import time

MAX_SECONDS = 1.0
MAX_BYTES = 200 << 20
# Whatever asks for more gets a MemoryError instead of the machine's memory.
ROOM_BYTES = 2 << 30
# Ends a loop without end.
STUCK_SECONDS = 10.0


class StuckError(BaseException):
    """No ``Exception``, lest the code that is to be stopped catches it."""


class Cost:
    """What a block has cost.

    Attributes:
        seconds: of processor time, of all threads.
        peak_bytes: how much the process's peak of memory has grown.
    """

    seconds = 0.0
    peak_bytes = 0

    def complaint(self):
        """Return what was too much, empty if nothing."""
        if self.seconds > MAX_SECONDS:
            return f"took {self.seconds:.1f} s, expected at most {MAX_SECONDS:g}"
        if self.peak_bytes > MAX_BYTES:
            return f"took {self.peak_bytes >> 20} MB, expected at most {MAX_BYTES >> 20}"
        return ""


@contextlib.contextmanager
def measured():
    """Yield the cost of the block; it is known when the block ends, however it does."""
    cost, before, begin = Cost(), _peak_bytes(), time.process_time()
    try:
        yield cost
    finally:
        cost.seconds = time.process_time() - begin
        cost.peak_bytes = _peak_bytes() - before


@contextlib.contextmanager
def guarded():
    """Bound what everything in the block may cost together with the rest of the process."""

    def stop(*_):
        raise StuckError(f"more than {STUCK_SECONDS:g} s in a loop")

    before = signal.signal(signal.SIGVTALRM, stop)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    _forget_peak()
    resource.setrlimit(resource.RLIMIT_AS, (_address_bytes() + ROOM_BYTES, limits[1]))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


@contextlib.contextmanager
def time_limit():
    """Raise StuckError in a block that does not end; within :func:`guarded`."""
    signal.setitimer(signal.ITIMER_VIRTUAL, STUCK_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _forget_peak():
    """Let the peak begin at what is in use now; where the system does not, little is measured."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _address_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
