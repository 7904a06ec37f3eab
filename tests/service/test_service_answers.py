"""What the service answers, and that it is what the predictor says."""

import numpy as np
import pytest
from servers import SHAPE, Centroid, encoded, running, toy_picture

from gluon_dkpr.backend import mx
from gluon_dkpr.data import sample_motion
from gluon_dkpr.engine.prediction import estimate_poses
from gluon_dkpr.engine.predictor import NetworkPredictor
from gluon_dkpr.geometry import pose_statistics
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.service import Limits
from gluon_dkpr.service.work import PoseWork, Upload
from gluon_dkpr.skeleton import human36m, planar, skeleton_from_dict


@pytest.fixture(scope="module")
def plain():
    """A server that no test changes."""
    with running(Centroid()) as server:
        yield server


WIDE = np.pad(toy_picture(), [(30, 10), (90, 170)])


def network(skeleton, method, shape):
    """Return a network that predicts another pose for every picture."""
    mx.random.seed(0)
    if shape == SHAPE:
        motion = sample_motion(skeleton, 50, seed=0)
        motion[:, :2] /= 128
        net = get_model(
            "toy_cnn", skeleton, method, pose_statistics(skeleton.scaled(1 / 128), motion)
        )
    else:
        net = get_model("resnet18_v1b", skeleton, method)
    net.initialize()
    net(mx.nd.zeros((1, shape[2], *shape[:2])))
    net.output.weight.set_data(mx.nd.random.normal(0, 0.2, net.output.weight.shape))
    return NetworkPredictor(net, shape)


def assert_same(answer, predictor, estimate):
    """Check an answer to the last bit; JSON keeps every digit of a float."""
    skeleton = predictor.skeleton
    for name in ("joints", "joints_px"):
        assert list(answer[name]) == list(skeleton.joint_names)
        np.testing.assert_array_equal(list(answer[name].values()), getattr(estimate, name))
    if estimate.motion is None:
        assert answer["motion"] is None
    else:
        assert list(answer["motion"]) == list(skeleton.parameter_names)
        np.testing.assert_array_equal(list(answer["motion"].values()), estimate.motion)
    assert answer["crop"] == vars(estimate.crop)
    assert (answer["unit"], answer["method"]) == (skeleton.length_unit, predictor.method)


class TestPose:
    @pytest.mark.parametrize("method", ["kinematic", "direct", "parameter"])
    @pytest.mark.parametrize("box", [None, (80, 20, 140, 150)])
    def test_of_an_object_is_the_networks_own(self, method, box):
        predictor = network(planar(3), method, SHAPE)
        query = "" if box is None else "?box=" + ",".join(map(str, box))
        with running(predictor) as server:
            answer = server.pose(encoded(WIDE), query)
        assert answer.status == 200, answer.body
        (expected,) = estimate_poses(predictor, [np.dstack([WIDE] * 3)], [box])
        assert_same(answer.json, predictor, expected)
        assert answer.json["picture"] == {"width": 388, "height": 168}
        assert answer.json["format"] == "gluon_dkpr/pose/1"
        assert 0 < answer.json["seconds"] < 60

    @pytest.mark.parametrize("method", ["kinematic", "direct"])
    def test_of_a_person_is_the_networks_own(self, method):
        predictor = network(human36m(), method, (64, 64, 3))
        photo = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
        with running(predictor) as server:
            answer = server.pose(encoded(photo), "?box=10.5,5,60,80")
        assert answer.status == 200, answer.body
        (expected,) = estimate_poses(predictor, [photo], [(10.5, 5, 60, 80)])
        assert_same(answer.json, predictor, expected)
        assert (answer.json["motion"] is None) == (method == "direct")

    def test_every_kind_of_picture(self):
        photo = np.dstack([toy_picture()] * 3)
        with running(Centroid()) as server:
            expected = server.pose(encoded(photo)).json["joints"]
            for data in (encoded(toy_picture()), encoded(photo, "JPEG", quality=95)):
                # curl calls every body a form, unless it is told otherwise: bytes count.
                answer = server.ask(
                    "POST", "/v1/pose", data, {"Content-Type": "application/x-www-form-urlencoded"}
                )
                assert answer.json["joints"] == expected
            chunks = iter([encoded(photo)[:100], encoded(photo)[100:]])
            assert server.ask("POST", "/v1/pose", chunks).json["joints"] == expected
            assert server.metric("dkpr_pictures_total") == 4


class TestBoxes:
    @pytest.mark.parametrize(
        "query",
        [
            "?box=",
            "?box=1,2,3",
            "?box=1,2,3,4,5",
            "?box=a,b,c,d",
            "?box=0,0,0,5",
            "?box=0,0,5,-5",
            "?box=nan,0,5,5",
            "?box=0,0,inf,5",
            "?box=0,0,1e300,1e300",
            "?box=128,0,10,10",
            "?box=-20,0,20,20",
            "?box=0,0,9,9&box=0,0,9,9",
            "?bbox=0,0,9,9",
        ],
    )
    def test_wrong(self, query, plain):
        answer = plain.pose(encoded(toy_picture()), query)
        assert answer.status == 422
        assert "expected" in answer.error

    def test_beyond_the_edges(self, plain):
        answer = plain.pose(encoded(toy_picture()), "?box=-50,-50,228,228")
        assert answer.status == 200
        assert answer.json["crop"] == {"left": -50.0, "top": -50.0, "side": 228.0, "size": 128}


class TestOthers:
    def test_signature_tells_names_units_and_limits(self):
        predictor = Centroid()
        with running(predictor, max_bytes=12345) as server:
            tree = server.ask("GET", "/v1/signature").json
        assert skeleton_from_dict(tree["skeleton"]) == predictor.skeleton
        assert tree["inputs"]["max_bytes"] == 12345
        assert tree["outputs"]["joints"]["unit"] == "px"
        assert tree["outputs"]["motion"] == {"x": "px", "y": "px", "theta": "radian"}

    def test_health_metrics_and_usage(self):
        with running(Centroid()) as server:
            assert server.ask("GET", "/health").json == {"status": "ok"}
            usage = server.ask("GET", "/")
            assert f"curl --data-binary @picture.png http://127.0.0.1:{server.port}/v1/pose" in (
                usage.body.decode()
            )
            server.pose(encoded(toy_picture()))
            server.pose(b"no picture")
            server.ask("GET", "/a/path/of/a/stranger")
            metrics = server.ask("GET", "/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
        lines = metrics.body.decode().splitlines()
        assert 'dkpr_requests_total{path="/v1/pose",status="200"} 1.0' in lines
        assert 'dkpr_requests_total{path="/v1/pose",status="415"} 1.0' in lines
        assert 'dkpr_requests_total{path="other",status="404"} 1.0' in lines
        assert 'dkpr_request_seconds_count{path="/v1/pose"} 2.0' in lines
        assert "dkpr_queue_length 0.0" in lines
        assert "stranger" not in metrics.body.decode()

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/v1/pose", 405),
            ("PUT", "/v1/pose", 405),
            ("POST", "/health", 405),
            ("GET", "/v1/../../etc/passwd", 404),
            ("GET", "/%00", 404),
            ("POST", "/v1/pose/", 404),
        ],
    )
    def test_what_there_is_not(self, method, path, status, plain):
        answer = plain.ask(method, path)
        assert answer.status == status
        assert "GET / tells what there is" in answer.error

    def test_a_fault_is_logged_and_survived(self, caplog):
        predictor = Centroid()
        with running(predictor) as server:
            predictor.fault = RuntimeError("a secret of the house")
            answer = server.pose(encoded(toy_picture()))
            assert answer.status == 500
            assert "secret" not in answer.error
            predictor.fault = None
            assert server.pose(encoded(toy_picture())).status == 200
        assert "a secret of the house" in caplog.text
        assert "internal fault at POST /v1/pose" in caplog.text

    def test_a_network_that_has_diverged_is_no_fault_of_the_sender(self, caplog):
        predictor = Centroid()
        predictor.motion = lambda image: [np.nan] * 3
        with running(predictor) as server:
            assert server.pose(encoded(toy_picture())).status == 500
        assert "not finite" in caplog.text


def test_one_that_diverges_does_not_harm_its_batch():
    predictor = Centroid()
    good = predictor.motion
    predictor.motion = lambda image: good(image) if image[40, 60] else [np.nan] * 3
    work = PoseWork(predictor, Limits())
    pictures = [toy_picture(), toy_picture(x=90.0), toy_picture()]
    results = work.finish([work.prepare(Upload(encoded(one))) for one in pictures])
    np.testing.assert_array_equal(results[0].estimate.joints, results[2].estimate.joints)
    assert "not finite" in str(results[1])
