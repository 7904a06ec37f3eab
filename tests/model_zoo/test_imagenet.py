"""ImageNet weights by GluonCV's model store, from a server on this machine, or from none."""

import hashlib
import http.server
import io
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gluon_dkpr.backend import import_gluoncv, mx
from gluon_dkpr.model_zoo import get_model, imagenet
from gluon_dkpr.model_zoo.imagenet import imagenet_file
from gluon_dkpr.model_zoo.pretrained import load_pretrained
from gluon_dkpr.model_zoo.weights import WeightsError
from gluon_dkpr.skeleton import planar

NAME = "resnet18_v1b"
CONTENT = bytes(range(256)) * 64
CHECKSUM = hashlib.sha1(CONTENT).hexdigest()
FILE = f"{NAME}-{CHECKSUM[:8]}"


def archive(content=CONTENT, name=f"{FILE}.params"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, content)
    return buffer.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802  http.server's name
        self.server.requests.append(self.path)
        status, body, length = self.server.answer
        if status is None:  # say nothing until the test is over
            self.server.over.wait(20)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        if length > len(body):
            self.wfile.flush()
            if self.server.stall:
                self.server.over.wait(20)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Let GluonCV keep its files here, and expect ours."""
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    store = import_gluoncv().model_zoo.model_store
    monkeypatch.setitem(store._model_sha1, NAME, CHECKSUM)
    return tmp_path / "models"


@pytest.fixture
def server(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.over, server.stall = [], threading.Event(), False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("MXNET_GLUON_REPO", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def refusal(home):
    with pytest.raises(WeightsError) as info:
        imagenet_file(NAME)
    message = str(info.value)
    assert "\n" not in message
    assert f"GluonCV looks for them in {home / FILE}.params" in message
    assert "--pretrained FILE" in message
    assert "--pretrained none" in message
    return message


def test_downloads_once(home, server):
    server.answer = (200, archive(), len(archive()))
    path = imagenet_file(NAME)
    assert path == home / f"{FILE}.params"
    assert path.read_bytes() == CONTENT
    assert server.requests == [f"/gluon/models/{FILE}.zip"]
    assert imagenet_file(NAME) == path
    assert len(server.requests) == 1
    assert not list(home.glob("*.zip"))


def test_no_connection(home, server):
    server.shutdown()
    server.server_close()
    message = refusal(home)
    assert f"http://127.0.0.1:{server.server_port}" in message
    assert "Connection refused" in message


@pytest.mark.parametrize(
    "answer, reason",
    [
        ((404, b"", 0), "Failed downloading url"),
        ((200, b"<html>log in first</html>", 25), "not a zip file"),
        ((200, archive()[:3000], len(archive())), ""),
        ((200, archive(b"other"), len(archive(b"other"))), "different hash"),
        ((200, archive(name="other.params"), len(archive(name="other.params"))), "No such file"),
    ],
    ids=["missing", "portal", "cut", "changed", "renamed"],
)
def test_a_bad_answer_does_not_spoil_the_next_try(answer, reason, home, server):
    server.answer = answer
    assert reason in refusal(home)
    assert not list(home.glob("*.zip"))
    server.answer = (200, archive(), len(archive()))
    assert imagenet_file(NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("sent", [None, 3000], ids=["silent", "stalled"])
def test_a_server_that_says_nothing_more(sent, home, server, monkeypatch):
    monkeypatch.setattr(imagenet, "STALL_SECONDS", 0.4)
    server.stall = True
    server.answer = (None if sent is None else 200, archive()[:sent], len(archive()))
    assert "no data for 0.4 seconds" in refusal(home)


def test_an_archive_that_vanishes_while_it_is_looked_at(home, server, monkeypatch):
    """GluonCV removes it when it has unpacked it."""
    stat, seen = Path.stat, []

    def vanishing(path, **options):
        if path.suffix == ".zip" and len(seen) == 1:
            seen.append(None)
            raise FileNotFoundError(path)
        found = stat(path, **options)
        seen.extend([found] if path.suffix == ".zip" and not seen else [])
        return found

    monkeypatch.setattr(imagenet, "STALL_SECONDS", 0.4)
    monkeypatch.setattr(Path, "stat", vanishing)
    server.stall = True
    server.answer = (200, archive()[:3000], len(archive()))
    assert "no data for 0.4 seconds" in refusal(home)
    assert len(seen) == 2


def test_half_a_file_is_downloaded_again(home, server):
    """What an interruption while unpacking leaves."""
    home.mkdir(parents=True)
    (home / f"{FILE}.params").write_bytes(CONTENT[:100])
    server.answer = (200, archive(), len(archive()))
    assert imagenet_file(NAME).read_bytes() == CONTENT


def test_network_is_filled_from_the_store(home, server, monkeypatch):
    whole = import_gluoncv().model_zoo.get_model(NAME)
    whole.initialize(mx.init.Xavier())
    whole(mx.nd.zeros((1, 3, 32, 32)))
    home.mkdir(parents=True)
    whole.save_parameters(str(home / "some.params"))
    checksum = hashlib.sha1((home / "some.params").read_bytes()).hexdigest()
    monkeypatch.setitem(import_gluoncv().model_zoo.model_store._model_sha1, NAME, checksum)
    (home / "some.params").rename(home / f"{NAME}-{checksum[:8]}.params")
    net = get_model(NAME, planar(3), "direct")
    net.initialize()
    load_pretrained(net, NAME, "imagenet")
    net(mx.nd.zeros((1, 3, 32, 32)))
    # A forward pass brings weights into oneDNN's order, behind the back of whoever reads them.
    mx.nd.waitall()
    found = net.features.collect_params(".*_conv.*").items()
    assert len(found) == 20
    for name, parameter in found:
        expected = whole.collect_params()[whole.prefix + name.split("resnetv1b_")[1]]
        np.testing.assert_array_equal(parameter.data().asnumpy(), expected.data().asnumpy())
    assert server.requests == []
