"""Poses in arrays: batches, boxes, the way back to the picture, and motion."""

import numpy as np
import people as small
import pytest
from hand_set import SHAPE, constant_net
from prediction_stubs import BODY, Person, picture

from gluon_dkpr.engine import estimate_poses as from_engine
from gluon_dkpr.engine.pictures import PictureFileError
from gluon_dkpr.engine.prediction import PredictionError, estimate_poses
from gluon_dkpr.engine.predictor import NetworkPredictor
from gluon_dkpr.geometry import angles_from_joints, forward_kinematics
from gluon_dkpr.skeleton import planar

SKELETON = planar(3)
MOTION = np.array([60.0, 40.0, np.radians(35.0)])
JOINTS = forward_kinematics(SKELETON, MOTION[None])
# The network computes in float32.
NETWORK_PX = 1e-4
# Height and width: square, wide, high, small, odd, and a strip.
SIZES = [(128, 128), (240, 320), (320, 240), (96, 96), (61, 200), (300, 77), (33, 32)]


def white_on_black(height, width):
    image = np.zeros((height, width, 3), np.uint8)
    image[height // 3 : height // 2, width // 3 : width // 2] = 255
    return image


def planar_predictor(method="direct", output=None):
    output = (JOINTS[0] if method == "direct" else MOTION) if output is None else output
    return NetworkPredictor(constant_net(method, output), SHAPE)


class TestPlanar:
    @pytest.mark.parametrize("method", ["direct", "kinematic", "parameter"])
    def test_a_pose_known_in_the_crop_is_known_in_the_picture(self, method):
        poses = estimate_poses(planar_predictor(method), [white_on_black(*hw) for hw in SIZES])
        for (height, width), pose in zip(SIZES, poses):
            side = max(height, width)
            padding = np.array([(side - width + 1) // 2, (side - height + 1) // 2])
            expected = (JOINTS[0] + 0.5) * side / 128 - 0.5 - padding
            np.testing.assert_allclose(pose.joints_px, expected, atol=NETWORK_PX * side / 128)
            np.testing.assert_allclose(pose.root_px, expected[0], atol=NETWORK_PX * side / 128)
            assert pose.angles_deg == {"theta": pytest.approx(35.0, abs=1e-3)}
            np.testing.assert_allclose(pose.joints, JOINTS[0], atol=NETWORK_PX)
            # The angle between the bones is that in the picture as well.
            seen = angles_from_joints(SKELETON, pose.joints_px[None])[0, 2]
            assert np.degrees(seen) == pytest.approx(35.0, abs=1e-3)

    def test_a_box(self):
        (pose,) = estimate_poses(planar_predictor(), [white_on_black(200, 300)], [(50, 20, 64, 32)])
        expected = (JOINTS[0] + 0.5) * 0.5 - 0.5 + [50, 20 - 16]
        np.testing.assert_allclose(pose.joints_px, expected, atol=NETWORK_PX)

    def test_a_network_that_has_diverged(self):
        with pytest.raises(PredictionError, match="not finite"):
            estimate_poses(planar_predictor(output=JOINTS[0] * np.nan), [white_on_black(64, 64)])

    def test_a_picture_without_lines(self):
        with pytest.raises(PictureFileError, match="nothing in it is white"):
            estimate_poses(planar_predictor(), [np.zeros((64, 64, 3), np.uint8)])


class TestPeople:
    def test_batches_of_any_size_say_the_same(self):
        motion = small.random_motion(7)
        pictures = [picture(50 + 10 * i, 80) for i in range(7)]
        whole = estimate_poses(Person(motion), pictures)
        person = Person(motion)
        parts = from_engine(person, pictures, batch=3)
        assert person.batches == [3, 3, 1]
        for a, b in zip(whole, parts):
            # To the last bit but one: sums of a matrix product may be in another order.
            np.testing.assert_allclose(a.joints_px, b.joints_px, rtol=1e-12)
            np.testing.assert_array_equal(a.motion, b.motion)

    def test_measured_from_the_root(self):
        motion = small.random_motion(2)
        expected = forward_kinematics(BODY, motion)
        motion[:, :3] = [500.0, -300.0, 200.0]
        for method in ("direct", "kinematic"):
            for i, pose in enumerate(estimate_poses(Person(motion, method), [picture()] * 2)):
                np.testing.assert_allclose(pose.joints, expected[i], atol=1e-9)
        np.testing.assert_allclose(
            forward_kinematics(BODY, pose.motion[None])[0], pose.joints, atol=1e-9
        )

    def test_a_box_is_cut_out_with_the_margin(self):
        person = Person(small.random_motion(1), margin=0.1)
        (pose,) = estimate_poses(person, [picture(400, 300)], [(-20, 100, 60, 100)])
        assert vars(pose.crop) == {"left": -50, "top": 90, "side": 120, "size": 64}
        middle = (pose.joints_px.min(0) + pose.joints_px.max(0)) / 2
        assert np.abs(middle - [9.5, 149.5]).max() < 12

    def test_pictures_with_and_without_a_box(self):
        person = Person(small.random_motion(2))
        first, second = estimate_poses(person, [picture(80, 100)] * 2, [None, [0, 0, 100, 80]])
        assert (first.crop.side, first.crop.top) == (100, -10)
        assert vars(second.crop) == {**vars(first.crop), "left": 0.0, "top": -10.0, "side": 100.0}

    def test_direct_joint_has_a_motion_if_it_is_fitted(self):
        motion = small.random_motion(3)
        (pose,) = estimate_poses(Person(motion[:1], "direct"), [picture()])
        assert (pose.motion, pose.angles_deg) == (None, None)
        poses = estimate_poses(Person(motion, "direct"), [picture()] * 3, model_fit=True)
        for i, fitted in enumerate(poses):
            expected = forward_kinematics(BODY, motion[i : i + 1])[0]
            np.testing.assert_allclose(fitted.joints, expected, atol=0.5)
            again = forward_kinematics(BODY, fitted.motion[None])[0]
            np.testing.assert_allclose(fitted.joints, again, atol=1e-9)

    def test_a_focal_length_means_the_middle_of_the_picture(self):
        person = Person(small.random_motion(1))
        (short,) = estimate_poses(person, [picture(81, 101)], camera=90.0)
        (long,) = estimate_poses(person, [picture(81, 101)], camera=[90.0, 90.0, 50.0, 40.0])
        np.testing.assert_array_equal(short.root, long.root)
        assert 1000 < short.root[2] < 4000

    def test_no_pictures(self):
        assert estimate_poses(Person(small.random_motion(1)), []) == []

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"boxes": []}, "0 boxes, expected 1"),
            ({"boxes": [(1, 2, 3)]}, "x, y, width, height"),
            ({"boxes": ["1234"]}, "x, y, width, height"),
            ({"boxes": [(0, 0, 0, 5)]}, "0 px wide and 5 px high, expected both at least 1"),
            ({"boxes": [(50, 30, 1e-30, 1e-30)]}, "expected both at least 1"),
            ({"boxes": [(0, 0, np.nan, 5)]}, "x, y, width, height"),
            (
                {"boxes": [(100, 0, 5, 5)]},
                "lies beside it, expected a part of the picture of 100 x 80",
            ),
            ({"camera": 0.0}, "focal length in px above 0"),
            ({"camera": [1, 2]}, "focal length in px above 0"),
            ({"batch": 0}, "expected 1 or more pictures"),
        ],
    )
    def test_mistakes(self, arguments, message):
        with pytest.raises((PredictionError, PictureFileError), match=message):
            estimate_poses(Person(small.random_motion(1)), [picture(80, 100)], **arguments)

    @pytest.mark.parametrize(
        "image", [np.zeros((8, 8)), np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8, 3), np.uint8)]
    )
    def test_what_is_no_picture(self, image):
        with pytest.raises(PredictionError, match="expected uint8"):
            estimate_poses(Person(small.random_motion(1)), [image])

    def test_a_network_of_unknown_image_size(self):
        person = Person(small.random_motion(1))
        person.image_shape = None
        with pytest.raises(PredictionError, match="which image size"):
            estimate_poses(person, [picture()])
