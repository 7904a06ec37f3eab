"""A file is written whole or not at all."""

import errno
import os
import stat

import pytest

from gluon_dkpr.config import ConfigError, load_config
from gluon_dkpr.engine.launch.hosts import LaunchError, read_hosts
from gluon_dkpr.files import atomic_path, atomic_write, read_bounded, read_bounded_text


class StopError(Exception):
    """What interrupts a writer in these tests."""


@pytest.mark.parametrize(
    "mode, content, stored",
    [("w", "grüße\n", "grüße\n".encode()), ("wb", b"\x00\xff", b"\x00\xff")],
)
def test_writes_text_in_utf8_and_bytes(tmp_path, mode, content, stored):
    path = tmp_path / "result.json"
    for target in (path, str(path)):
        with atomic_write(target, mode) as file:
            file.write(content)
        assert path.read_bytes() == stored
    assert os.listdir(tmp_path) == ["result.json"]


def test_nobody_sees_half_of_it(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt])
@pytest.mark.parametrize("before", [None, "old"])
def test_failure_leaves_things_as_they_were(tmp_path, before, error):
    path = tmp_path / "result.json"
    if before is not None:
        path.write_text(before)
    with pytest.raises(error), atomic_write(path) as file:
        file.write("half")
        raise error
    assert os.listdir(tmp_path) == ([] if before is None else ["result.json"])
    if before is not None:
        assert path.read_text() == before


def test_writer_may_remove_its_file(tmp_path):
    """A writer that gives up by itself is reported as that, not as a failed clean-up."""
    with pytest.raises(StopError), atomic_path(tmp_path / "a.png") as temporary:
        temporary.unlink()
        raise StopError
    assert os.listdir(tmp_path) == []


def test_temporary_name_is_hidden_beside_it_and_keeps_the_suffix(tmp_path):
    path = tmp_path / "curve.png"
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(".curve")
        temporary.write_bytes(b"picture")
    assert path.read_bytes() == b"picture"


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    """Not the 0600 of temporary files, which would lock out the colleagues."""
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "shared.json") as file:
            file.write("{}")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "shared.json").stat().st_mode) == mode


def test_the_umask_is_never_another(tmp_path, monkeypatch):
    """For a moment the files of another thread would be open to everybody."""
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("set"))
    with atomic_write(tmp_path / "a") as file:
        file.write("a")
    assert (tmp_path / "a").read_text() == "a"


def test_missing_folder_is_an_os_error(tmp_path):
    path = tmp_path / "none" / "result.json"
    with pytest.raises(FileNotFoundError) as caught, atomic_write(path):
        pytest.fail("the block must not run")
    assert caught.value.filename == str(path)


def test_folder_of_that_name_stays(tmp_path):
    (tmp_path / "result.json").mkdir()
    with pytest.raises(OSError) as caught, atomic_write(tmp_path / "result.json") as file:
        file.write("{}")
    assert caught.value.filename == str(tmp_path / "result.json")
    assert caught.value.filename2 is None
    assert os.listdir(tmp_path) == ["result.json"]


@pytest.mark.parametrize("when", ["block", "sync"])
def test_full_disk_names_the_file(tmp_path, monkeypatch, when):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    outer, path = tmp_path / "outer.json", tmp_path / "result.json"
    with pytest.raises(OSError) as caught, atomic_write(outer), atomic_write(path):
        monkeypatch.setattr(os, "fsync", full)
        if when == "block":
            full()
    assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == []


def test_error_that_tells_another_file_keeps_it(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_path(tmp_path / "a"):
        (tmp_path / "none" / "b").touch()
    assert caught.value.filename == str(tmp_path / "none" / "b")
    with pytest.raises(OSError) as caught, atomic_path(tmp_path / "a"):
        raise OSError("not the system's")
    assert caught.value.filename is None


@pytest.mark.parametrize(
    "name",
    ["x" * 240 + ".png", "x" * 255, "\u00e9" * 127, "." + "x" * 254, "x." + "y" * 253, "caf\udce9"],
)
def test_any_name_that_a_file_can_have(tmp_path, name):
    (tmp_path / name).write_text("old")
    with atomic_write(tmp_path / name) as file:
        file.write("new")
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "new"


def test_reads_as_much_as_there_may_be(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbfabc")
    assert read_bounded(path, 6, StopError) == b"\xef\xbb\xbfabc"
    assert read_bounded_text(path, 6, StopError, "utf-8-sig") == "abc"
    with pytest.raises(StopError, match=f"{path}: larger than 5 bytes"):
        read_bounded(path, 5, StopError)
    path.write_bytes(b"\xff")
    with pytest.raises(StopError, match=f"{path}: not a text file in UTF-8"):
        read_bounded_text(path, 6, StopError)


@pytest.mark.parametrize("name", ["none", ".", "a\0b"])
def test_what_cannot_be_read_is_named(name, tmp_path):
    with pytest.raises(StopError, match="cannot be read: "):
        read_bounded(tmp_path / name, 5, StopError)


@pytest.mark.parametrize(("read", "error"), [(load_config, ConfigError), (read_hosts, LaunchError)])
def test_a_device_has_no_end(read, error):
    with pytest.raises(error, match="/dev/zero: larger than"):
        read("/dev/zero")
