"""Pictures and labels say the same: projection, occlusion, crop, shadow."""

import numpy as np
import pytest
from body_poses import motion_of

from gluon_dkpr.data.body import render as rendering
from gluon_dkpr.data.body.draw import SAMPLES
from gluon_dkpr.data.body.motion import Moment
from gluon_dkpr.data.body.render import draw_picture, draw_scene, render
from gluon_dkpr.data.body.rig import INDEX
from gluon_dkpr.data.body.room import Room, draw_background
from gluon_dkpr.data.body.scene import CAMERAS, IMAGE_PX, draw_cameras, draw_light
from gluon_dkpr.geometry import Crop
from gluon_dkpr.skeleton import human36m

BODY = human36m()
JOINT = {name: i for i, name in enumerate(BODY.joint_names)}
SIZE = 160
# The left hand before the belly or behind the back, seen from the front.
BEFORE = {"left_shoulder_flexion": 0.5, "left_shoulder_twist": -1.2, "left_elbow_flexion": 1.4}
BEHIND = {"left_shoulder_flexion": -0.9, "left_shoulder_twist": -1.2, "left_elbow_flexion": 1.0}


def moment(**angles):
    return Moment(motion_of(**angles), 0.0, 0, 0, False)


def shown(person, canvas, segment):
    """Return how many parts of pixels show a segment."""
    owner = person.topology.weights.argmax(axis=1)[person.topology.faces[:, 0]]
    return int((owner[canvas[canvas >= 0]] == INDEX[segment]).sum())


def take(scene, what, seed=0):
    return render(scene, what, 0, SIZE, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def pictures(studio):
    drawn = []
    for index in range(0, 160, 5):
        scene = draw_scene(studio, 1, "train", index // rendering.SCENE_IMAGES)
        drawn.append((scene, draw_picture(studio, scene, 1, "train", index, SIZE)))
    return drawn


def test_joints_px_are_the_projected_joints(pictures):
    for scene, picture in pictures:
        label = picture.label
        x, y, z = (label["joints"] + label["root"]).T
        fx, fy, cx, cy = label["intrinsics"]
        left, top, side = label["box"]
        scale = SIZE / side
        expected = np.stack(
            [
                (x / z * fx + cx + 0.5 - left) * scale - 0.5,
                (y / z * fy + cy + 0.5 - top) * scale - 0.5,
            ],
            axis=1,
        )
        np.testing.assert_allclose(label["joints_px"], expected, atol=1e-9)
        assert label["box_mm"] == pytest.approx(side * label["root"][2] / fx)
        np.testing.assert_array_equal(
            label["intrinsics"], scene.cameras[label["camera"]].intrinsics
        )
        np.testing.assert_array_equal(label["joints"][0], 0)


def test_joints_lie_on_the_person(pictures):
    inside = []
    for _, picture in pictures:
        pixels = np.round((picture.label["joints_px"] + 0.5) * SAMPLES - 0.5).astype(int)
        inside.append(picture.canvas[pixels[:, 1], pixels[:, 0]] >= 0)
    # The top of the head is on the rim; a hip's middle never is.
    inside = np.array(inside)
    assert inside.mean() > 0.93
    assert inside[:, [JOINT["torso"], JOINT["neck"], JOINT["left_knee"]]].all()


def test_crop_holds_the_whole_person_with_a_margin(pictures):
    for _, picture in pictures:
        rows, columns = np.nonzero(picture.canvas >= 0)
        last = SIZE * SAMPLES - 1
        rims = rows.min(), columns.min(), last - rows.max(), last - columns.max()
        # 6 % of the person on each of the two sides that are nearest.
        assert 0.03 * SIZE < min(rims) / SAMPLES < 0.06 * SIZE


def test_every_camera_has_another_side(studio):
    cameras = draw_cameras(np.random.default_rng(0))
    assert len(cameras) == len(CAMERAS) == 4
    azimuths = [np.arctan2(camera.position[0], -camera.position[2]) for camera in cameras]
    quarters = np.array([1, 3, 5, 7]) * np.pi / 4
    assert np.abs(np.angle(np.exp(1j * (azimuths - quarters)))).max() < np.radians(21)
    for camera in cameras:
        np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(camera.rotation) == pytest.approx(1)
        seen = camera.to_camera(np.array([[0.0, -900, 0], [0, -1900, 0]]))
        pixels = camera.project(seen)
        # Upright, the person's middle near the middle of the image.
        assert np.abs(pixels[0] - IMAGE_PX / 2).max() < 120
        assert pixels[1, 1] < pixels[0, 1] - 100


def test_a_hand_before_the_trunk_is_seen_and_one_behind_it_is_not(person, front):
    before = take(front.scene, moment(**BEFORE))
    behind = take(front.scene, moment(**BEHIND))
    depth = {}
    for name, picture in (("before", before), ("behind", behind)):
        joints = picture.label["joints"]
        depth[name] = joints[JOINT["left_wrist"], 2] - joints[JOINT["torso"], 2]
        # In the picture the wrist is over the trunk both times.
        wrist, torso = picture.label["joints_px"][[JOINT["left_wrist"], JOINT["torso"]]]
        assert abs(wrist[0] - torso[0]) < 25
    assert depth["before"] < -50 < 50 < depth["behind"]
    assert shown(person, before.canvas, "left_hand") > 300
    assert shown(person, behind.canvas, "left_hand") < 20


def test_from_behind_it_is_the_other_way_round(person, front):
    """The same two poses, the person's back to the camera."""
    before = take(front.scene, moment(root_yaw=np.pi, **BEFORE))
    behind = take(front.scene, moment(root_yaw=np.pi, **BEHIND))
    assert shown(person, before.canvas, "left_hand") < 20
    assert shown(person, behind.canvas, "left_hand") > 300


def test_left_is_on_the_right_of_the_picture_in_front(front):
    pixels = take(front.scene, moment()).label["joints_px"]
    assert pixels[JOINT["left_hip"], 0] > pixels[JOINT["right_hip"], 0]
    assert pixels[JOINT["head"], 1] < pixels[JOINT["pelvis"], 1] < pixels[JOINT["left_ankle"], 1]


def test_lowest_point_stands_on_the_floor(front):
    """The camera is 900 mm high and level: the soles are 900 mm below it, or in the air."""
    for air in (0.0, 250.0):
        label = take(front.scene, moment()._replace(air_mm=air)).label
        ankle = (label["joints"] + label["root"])[JOINT["left_ankle"], 1]
        assert 900 - air - 130 < ankle < 900 - air - 40


def test_beyond_the_image_is_black(front):
    """The person is at the left edge of the camera's image."""
    camera = front.camera._replace(intrinsics=np.array([1100.0, 1100, 60, 500]))
    grey = Room((np.full((256, 256, 3), 200, np.uint8),), (0.0,), None, 0.0)
    picture = take(front.scene._replace(cameras=(camera,), room=grey), moment())
    left, _, side = picture.label["box"]
    assert left < 0
    edge = int(-left * SIZE / side)
    assert picture.image[:, : edge - 1].max() == 0
    assert picture.image[:, edge + 1 :].mean() > 100


def test_same_numbers_make_the_same_picture(studio):
    def again():
        scene = draw_scene(studio, 3, "test", 2)
        return draw_picture(studio, scene, 3, "test", 17, 64)

    first, second = again(), again()
    np.testing.assert_array_equal(first.image, second.image)
    for name, value in first.label.items():
        np.testing.assert_array_equal(value, second.label[name])
    other = draw_picture(studio, draw_scene(studio, 4, "test", 2), 4, "test", 17, 64)
    assert (other.image != first.image).any()


def test_shadow_falls_away_from_the_lamp(person, front):
    """A lamp on the left of the picture darkens the floor on the right, in right perspective."""
    white = np.full((256, 256, 3), 255, np.uint8)
    room = Room((white,) * 3, (2000.0,) * 3, (8000.0, 8000.0), 1.0)
    light = front.scene.light._replace(direction=np.array([-0.8, -0.6, 0.0]))
    vertices = person.vertices * [1, -1, 1]
    vertices = vertices - [0, vertices[:, 1].max(), 0]
    crop = Crop(0.0, 0.0, float(IMAGE_PX), 200)
    image = draw_background(
        room, front.camera, light, crop, vertices, np.random.default_rng(0)
    ).astype(int)
    lit = draw_background(
        room._replace(shade=0.0), front.camera, light, crop, vertices, np.random.default_rng(0)
    )
    rows, columns = np.nonzero((lit - image).max(axis=-1) > 60)
    assert len(rows) > 100
    middle = (front.camera.intrinsics[2] + 0.5) * crop.scale
    assert columns.mean() > middle + 5
    # The floor's horizon is as high as a level camera's.
    assert rows.min() > (front.camera.intrinsics[3] + 0.5) * crop.scale


def test_lamps_are_above(studio):
    lights = [draw_light(np.random.default_rng(i)) for i in range(50)]
    assert all(light.direction[1] < -0.3 for light in lights)
    np.testing.assert_allclose([np.linalg.norm(light.direction) for light in lights], 1)
