"""The machines of a group: reading the file that lists them, and asking one of them something."""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import List, NamedTuple, Sequence, Union

from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import read_bounded_text

MAX_BYTES = 1 << 20
MAX_SLOTS = 4096
# Never an option of ssh, never two words.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*")
_SLOTS = re.compile(r"[0-9]{1,4}")
# A dead machine is noticed after 6 s. Nobody is there to type a password.
SSH = (
    *("ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"),
    *("-o", "ServerAliveInterval=3", "-o", "ServerAliveCountMax=2"),
)
ANSWER_SECONDS = 30

_FREE_PORT = (
    "import socket, sys; s = socket.socket(); s.bind((sys.argv[1], 0)); print(s.getsockname()[1])"
)
_EXISTS = "import glob, sys; print(len(glob.glob(sys.argv[1])))"


class LaunchError(DkprError):
    """A group cannot be started as asked."""


class Host(NamedTuple):
    """A machine.

    Attributes:
        name: what ssh is given; ``localhost`` is this machine, without ssh.
        address: IPv4, under which the other machines reach it.
        slots: how many workers it takes.
    """

    name: str
    address: str
    slots: int

    @property
    def is_local(self) -> bool:
        """Whether it is this machine."""
        return self.name == "localhost"


def this_machine(slots: int) -> List[Host]:
    """Return the machine of a group that stays on this one."""
    return [Host("localhost", "127.0.0.1", slots)]


def read_hosts(path: Union[str, os.PathLike]) -> List[Host]:
    """Read a hosts file: a line a machine, ``NAME [slots=N] [address=IPV4]``, ``#`` for comments.

    ``slots`` is 1 where it is left out, and the address is what the name stands for here.

    Raises:
        LaunchError: names file and line.
    """
    path = Path(path)
    lines = read_bounded_text(path, MAX_BYTES, LaunchError).splitlines()
    hosts, several = [], sum(bool(line.split("#")[0].strip()) for line in lines) > 1
    for number, line in enumerate(lines, start=1):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            host = _parse(words, several)
        except LaunchError as error:
            raise LaunchError(f"{path}:{number}: {error}") from None
        if host.name in [other.name for other in hosts]:
            raise LaunchError(f"{path}:{number}: {host.name} stands there twice; use slots=N")
        hosts.append(host)
    if not hosts:
        raise LaunchError(f"{path}: no hosts, expected lines NAME [slots=N] [address=IPV4]")
    return hosts


def _parse(words: Sequence[str], several: bool) -> Host:
    name, slots, address = words[0], 1, ""
    if not _NAME.fullmatch(name):
        raise LaunchError(f"{name!r:.60} is no host name, expected such as node1 or me@10.0.0.1")
    for word in words[1:]:
        key, _, value = word.partition("=")
        if key == "slots" and _SLOTS.fullmatch(value) and 1 <= int(value) <= MAX_SLOTS:
            slots = int(value)
        elif key == "address" and _is_address(value):
            address = value
        else:
            raise LaunchError(f"{word!r:.60}, expected slots=N (from 1) or address=IPV4")
    return Host(name, address or _resolve(name, several), slots)


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.IPv4Address(text))
    except ValueError:
        return False


def _resolve(name: str, several: bool) -> str:
    plain = name.rpartition("@")[2]
    try:
        address = socket.gethostbyname(plain)
    except (OSError, UnicodeError):  # unknown, or longer than any name
        raise LaunchError(f"{plain:.60} has no known address; add address=IPV4") from None
    if several and ipaddress.IPv4Address(address).is_loopback:
        raise LaunchError(
            f"{plain:.60} is {address} here, where no other machine reaches it; add address=IPV4"
        )
    return address


def address_towards(host: Host) -> str:
    """Return this machine's own address as a host sees it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host.address, 9))  # sends nothing
        except OSError as error:
            raise LaunchError(f"{host.name} ({host.address}): {error.strerror}") from None
        return probe.getsockname()[0]


def on_host(host: Host, command: Sequence[str]) -> List[str]:
    """Return what runs a command in the present folder on a host."""
    if host.is_local:
        return list(command)
    words = " ".join(map(shlex.quote, command))
    return [*SSH, host.name, f"cd {shlex.quote(os.getcwd())} && exec {words}"]


def free_port(host: Host) -> int:
    """Return a port that nobody listens on at the host's address."""
    return _ask(host, _FREE_PORT, host.address)


def matches(host: Host, pattern: str) -> bool:
    """Tell whether there is a file on the host that matches a pattern."""
    return _ask(host, _EXISTS, pattern) > 0


def _ask(host: Host, code: str, argument: str) -> int:
    """Run a line of Python on a host and return the number that it printed.

    Raises:
        LaunchError: with the last line that the host or ssh had to say.
    """
    command = on_host(host, [sys.executable, "-c", code, argument])
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=ANSWER_SECONDS, check=False,
        )  # fmt: skip
    except OSError as error:
        raise LaunchError(f"{command[0]}: cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise LaunchError(f"{host.name}: no answer within {ANSWER_SECONDS} s") from None
    number = done.stdout.split()[-1:]  # a shell may have greeted before
    if done.returncode or not (number and number[0].isdigit()):
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise LaunchError(
            f"{host.name}: Python does not run there as it does here; it says: {said}"
        )
    return int(number[0])
