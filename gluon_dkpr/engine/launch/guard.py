"""Runs one command of a group, and ends it when the launcher says so or is gone.

A process of its own, started by its path here or through ssh, with nothing but Python's own
library:

    python guard.py SILENCE COMMAND [ARGUMENT...]

The launcher sits at the other end of standard input. A byte ``i`` there is Ctrl-C for the command,
any other byte only shows that the launcher lives, and the end of the input ends the command: first
by SIGTERM, then by SIGKILL. So nothing is left running when the launcher, its machine or the
connection dies. SILENCE is how many seconds without a byte count as death; 0 for never. The exit
status is the command's, 128 + N if signal N ended it.
"""

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

INTERRUPT = b"i"
ALIVE = b"."
# Seconds from SIGTERM to SIGKILL.
GRACE = 4.0
TICK = 0.1
STATUS_NOT_STARTED = 127
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_SIOCGIFADDR = 0x8915  # linux/sockios.h


def interface_of(address):
    """Return the name of the network interface that has an IPv4 address, '' if none has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with contextlib.suppress(OSError):  # an interface without an address
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
                if socket.inet_ntoa(answer[20:24]) == address:
                    return name
    return ""


def settle(environment):
    """Fill in what only the machine of the command knows, where the user has not."""
    workers = int(environment.get("DKPR_LOCAL_SIZE", "1"))
    cores = len(os.sched_getaffinity(0))
    environment.setdefault("OMP_NUM_THREADS", str(max(1, cores // workers)))
    if "HOROVOD_SIZE" in environment and "DKPR_ADDRESS" in environment:
        interface = interface_of(environment["DKPR_ADDRESS"])
        if interface:
            environment.setdefault("HOROVOD_GLOO_IFACE", interface)
            environment.setdefault("NCCL_SOCKET_IFNAME", interface)


def start(command):
    """Start the command in a process group of its own; it dies with this process."""
    library, guard = ctypes.CDLL(None), os.getpid()

    def die_with_guard():
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:  # too late: it has died already
            os.kill(os.getpid(), signal.SIGKILL)

    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_guard
    )


def has_ended(process):
    """Tell whether a process has ended, and leave it a zombie, so that its group stays its own."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, flags) is not None


def tell(process, number):
    """Send a signal to the process and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def wake_on_death():
    """Return a file that can be read when a child has ended."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading


def watch(process, silence, death):
    """Return when the process has ended, by itself or by the launcher's will."""
    heard, kill_at, listening = time.monotonic(), None, True
    while not has_ended(process):
        ready = select.select([0, death] if listening else [death], [], [], TICK)[0]
        now, data = time.monotonic(), None
        if death in ready:
            os.read(death, 4096)
        if 0 in ready:
            data, heard = os.read(0, 4096), now
            listening = bool(data)
            if INTERRUPT in data:
                tell(process, signal.SIGINT)
        lost = silence and now - heard > silence
        if kill_at is None and (lost or not listening):
            tell(process, signal.SIGTERM)
            kill_at = now + GRACE
        if kill_at is not None and now > kill_at:
            tell(process, signal.SIGKILL)


def main(arguments):
    """Run the command; return its status."""
    silence, command = float(arguments[0]), arguments[1:]
    # A handler, not SIG_IGN: the command would inherit that and be deaf to Ctrl-C.
    signal.signal(signal.SIGINT, lambda *_: None)
    settle(os.environ)
    death = wake_on_death()
    try:
        process = start(command)
    except OSError as error:
        print(f"{command[0]}: cannot be started: {error.strerror}", file=sys.stderr)
        return STATUS_NOT_STARTED
    watch(process, silence, death)
    tell(process, signal.SIGKILL)  # what it has left running
    status = process.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
