"""tools/serve.py as a process: how it starts, what it holds and how it ends."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from servers import (
    PATIENCE_S,
    SHAPE,
    Centroid,
    Running,
    chunk,
    encoded,
    in_threads,
    png,
    running,
    toy_picture,
    until,
)

from gluon_dkpr.backend import mx
from gluon_dkpr.data import sample_motion
from gluon_dkpr.engine.export import export_model
from gluon_dkpr.engine.load import load_predictor
from gluon_dkpr.engine.prediction import estimate_poses
from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import pose_statistics
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.service import Limits, ServiceError
from gluon_dkpr.service.run import open_listener, url_of
from gluon_dkpr.skeleton import planar

TOOL = Path(__file__).resolve().parents[2] / "tools" / "serve.py"
HEAD = b"POST /v1/pose HTTP/1.1\r\nHost: localhost\r\n"


def export(folder, **options):
    """Export a network that predicts another plausible pose for every picture."""
    mx.random.seed(0)
    motion = sample_motion(planar(3), 50, seed=0)
    motion[:, :2] /= 128
    statistics = pose_statistics(planar(3).scaled(1 / 128), motion)
    net = get_model("toy_cnn", planar(3), "kinematic", statistics)
    net.initialize()
    net(mx.nd.zeros((1, 1, 128, 128)))
    net.output.weight.set_data(mx.nd.random.normal(0, 0.2, net.output.weight.shape))
    export_model(net, folder, "toy", SHAPE, **options)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return export(tmp_path_factory.mktemp("export"))


class Process(Running):
    """A server in a process of its own; to be asked as one in a thread."""

    def __init__(self, *arguments):
        command = [sys.executable, str(TOOL), *map(str, arguments), "--port", "0"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, **pipes)
        self.line = self.process.stdout.readline()
        found = re.search(r"serving at http://127\.0\.0\.1:(\d+), until SIGTERM", self.line)
        assert found, self.process.communicate(timeout=PATIENCE_S)
        self.port = int(found.group(1))

    @property
    def in_flight(self):
        return self.metric("dkpr_requests_in_flight")

    def end(self, number=signal.SIGTERM):
        """Send a signal and return exit status, standard output and standard error."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err

    def memory(self, name):
        """Return the resident memory in bytes: VmRSS now, VmHWM at most so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) * 1024


@contextlib.contextmanager
def process(*arguments):
    server = Process(*arguments)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def fail(*arguments, prefix="pass"):
    """Return the one line with which the tool refuses to start."""
    code = f"import runpy, sys; {prefix}; sys.argv = sys.argv[1:]; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(TOOL), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done
    return done.stderr


def test_an_export_has_no_checkpoints_to_choose_from(model):
    assert "is no run folder, which --checkpoint last is for" in fail(model, "--checkpoint", "last")


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_what_is_in_flight_is_answered(self, number, model):
        """Three wait for more to come in their batch, one is still being sent."""
        data = encoded(toy_picture())
        with process(model, "--wait-ms", 2000) as server:
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as slow:
                slow.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(data) + data[:50])

                def stop():
                    until(lambda: server.in_flight == 4, "4 requests are in flight")
                    server.process.send_signal(number)
                    until(lambda: not accepts(server.port), "no more are accepted")
                    slow.sendall(data[50:])
                    return slow.recv(65536)[:15]

                *answers, late = in_threads([lambda: server.pose(data)] * 3 + [stop])
            assert [answer.status for answer in answers] == [200] * 3
            assert late == b"HTTP/1.1 200 OK"
            begin = time.monotonic()
            out, err = server.process.communicate(timeout=PATIENCE_S)
            assert time.monotonic() - begin < 10
            assert (server.process.returncode, out, err) == (0, "", "")

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_right_after_the_line_is_not_lost(self, number, model):
        """Whoever reads the line may send it before the server has begun to run."""
        code = (
            "import os, sys\n"
            "from gluon_dkpr.engine.load import load_predictor\n"
            "from gluon_dkpr.service.run import run_service\n"
            f"run_service(lambda: load_predictor(sys.argv[1]), None, ('127.0.0.1', 0), "
            f"lambda url: os.kill(os.getpid(), {int(number)}))\n"
            "print('ended')"
        )
        command = [sys.executable, "-c", code, str(model)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")

    def test_whoever_never_ends_does_not_hold_it_up(self, model):
        data = encoded(toy_picture())
        with process(model, "--timeout", 1) as server:
            idle, slow = (
                socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) for _ in range(2)
            )
            with idle, slow:
                slow.sendall(HEAD + b"Content-Length: 1000\r\n\r\nsome")
                until(lambda: server.in_flight == 1, "the upload has begun")
                assert server.pose(data).status == 200
                begin = time.monotonic()
                status, _, err = server.end()
                assert time.monotonic() - begin < 10
                assert (status, err) == (0, "")
                assert slow.recv(65536)[:12] == b"HTTP/1.1 408"

    def test_draining_is_told_to_who_asks(self):
        with running(Centroid()) as server:
            server.server.service.draining = True
            health = server.ask("GET", "/health")
            assert (health.status, health.json) == (503, {"status": "draining"})
            answer = server.pose(encoded(toy_picture()))
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert "being stopped" in answer.error


def accepts(port: int, host="127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except ConnectionRefusedError:
        return False
    return True


class TestStart:
    def test_it_listens_to_this_machine_only(self, model):
        with process(model) as server:
            assert str(model) in server.line
            assert accepts(server.port)
            # Belongs to this machine, too, as any address of its network would.
            assert not accepts(server.port, "127.0.0.2")

    def test_a_port_that_is_taken(self, model):
        with open_listener("127.0.0.1", 0) as other:
            port = other.getsockname()[1]
            line = fail(model, "--port", port)
        assert f"cannot listen at 127.0.0.1, port {port}: {os.strerror(errno.EADDRINUSE)}" in line
        assert "--port 0 takes one that is free" in line

    @pytest.mark.parametrize(
        "address", [("127.0.0.1", 70_000), ("no.such.host.invalid", 0), ("192.0.2.1", 0)]
    )
    def test_an_address_that_is_none(self, address):
        with pytest.raises(ServiceError, match="cannot listen at {}, port {}: ".format(*address)):
            open_listener(*address)

    def test_a_model_that_is_none(self, tmp_path):
        """What the batcher's thread stumbles over is told by the main one."""
        main = runpy.run_path(str(TOOL))["main"]
        with pytest.raises(DkprError, match=f"{tmp_path}: no run folder"):
            main([str(tmp_path), "--port", "0"])

    def test_a_limit_that_is_none(self, tmp_path):
        assert "queue is 0, expected at least 1" in fail(tmp_path, "--queue", 0)
        line = fail(tmp_path, "--timeout", "1e12")
        assert "timeout is 1000000000000.0, expected seconds above 0, up to 1e+06" in line

    @pytest.mark.parametrize("package", ["starlette", "uvicorn", "prometheus_client"])
    def test_a_package_that_is_missing(self, package, tmp_path):
        line = fail(tmp_path, prefix=f"sys.modules['{package}'] = None")
        assert f"the service needs {package}" in line
        assert "install the extra 'serve' or requirements/serve.txt" in line

    def test_small_packets_do_not_wait_for_each_other(self):
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(open_listener("127.0.0.1", 0))
            stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
            accepted = stack.enter_context(listener.accept()[0])
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    def test_the_url_of_the_newer_protocol(self):
        try:
            listener = open_listener("::1", 0)
        except Exception:
            pytest.skip("this machine has no IPv6")
        with listener:
            assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    "options",
    [{}, {"preprocess": True}, {"format": "onnx"}],
    ids=["mxnet", "mxnet of bytes", "onnx"],
)
def test_every_format_of_exports(options, tmp_path):
    """The batcher's thread computes what the same export computes here."""
    if options.get("format") == "onnx" and importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("requirements/onnx.txt is not installed")
    predictor = load_predictor(export(tmp_path, **options))
    with running(predictor) as server:
        answer = server.pose(encoded(toy_picture()))
    (expected,) = estimate_poses(predictor, [np.dstack([toy_picture()] * 3)])
    joints = np.array(list(answer.json["joints"].values()))
    np.testing.assert_array_equal(joints, expected.joints)


class TestMemory:
    def test_is_bounded_by_the_limits(self, model):
        """Bombs, endless bodies, and the largest that is allowed, many at a time."""
        limits = Limits(max_bytes=1_000_000, max_pixels=1_000_000, queue=8)
        flags = ["--max-bytes", limits.max_bytes, "--max-pixels", limits.max_pixels, "--queue", 8]
        largest = np.zeros((1000, 1000), np.uint8)
        largest[300:320] = 255
        deep = encoded(largest.astype(np.uint16) * 257)
        bodies = [encoded(largest), deep, encoded(np.dstack([largest] * 4)), bomb(15_000)]
        with process(model, *flags) as server:
            assert server.pose(encoded(toy_picture())).status == 200
            before = server.memory("VmRSS")
            codes = set()

            def send():
                for body in bodies * 2:
                    codes.add(server.pose(body).status)
                endless = (b"\0" * 100_000 for _ in range(300))
                codes.add(server.ask("POST", "/v1/pose", endless).status)

            in_threads([send] * 9)
            assert codes <= {200, 413, 503}
            assert {200, 413} <= codes
            # Bodies, and one picture in the making, which takes up to 25 bytes for a px.
            bound = limits.queue * 2 * limits.max_bytes + 25 * limits.max_pixels
            assert server.memory("VmHWM") - before < bound + 60e6
            assert server.end() == (0, "", "")


def bomb(side: int) -> bytes:
    """Return a PNG of side x side px in a few hundred kB."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    return png(side, side, chunks=chunk(b"IDAT", rows))


def test_threads_of_the_tests_have_ended():
    assert not [t for t in threading.enumerate() if t.name == "batcher" and t.is_alive()]
