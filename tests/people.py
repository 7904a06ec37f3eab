"""A small data set of people whose poses are known, predictors with known errors, and runs."""

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.config import Config, save_config
from gluon_dkpr.data import ImageFormat, write_record
from gluon_dkpr.data.human import human_layout
from gluon_dkpr.engine.checkpoint import save_best
from gluon_dkpr.engine.predictor import ImagePredictor
from gluon_dkpr.engine.run_folder import COLUMNS, write_metrics
from gluon_dkpr.geometry import forward_kinematics, pose_statistics
from gluon_dkpr.model_zoo import Pose, get_model
from gluon_dkpr.skeleton import human36m, save_skeleton
from gluon_dkpr.viz import draw_pose

SIZE_PX = 64
BODY = human36m()
SUBJECTS, SCALES = ("S1", "S9", "S11"), (1.0, 1.05, 0.97)
CAMERAS = ("54138969", "60457274")
FRAME_STEP = 5
# Test frames of each action, for each of S9 and S11: unbalanced.
TEST_FRAMES = {"Directions": 2, "SittingDown": 5, "Walking": 1}


def random_motion(count, seed=0):
    """Return motions of plausible people at the origin, (count, P)."""
    random = np.random.RandomState(seed)
    motion = random.uniform(-0.6, 0.6, (count, BODY.num_parameters))
    motion[:, ~BODY.is_angle()] = 0
    motion[:, BODY.parameter_names.index("root_yaw")] *= 5
    for i, parameter in enumerate(BODY.parameters):
        if parameter.name.endswith(("knee_flexion", "elbow_flexion")):
            motion[:, i] = random.uniform(0.1, 1.5, count)
    return motion


def image_of(joints_px):
    """Return a picture of a person, uint8, (SIZE_PX, SIZE_PX, 3)."""
    black = np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)
    return draw_pose(black, BODY, joints_px, thickness=1)


def _samples(frames, subjects, actions, seed):
    """Return the fields of every sample of a split."""
    fields = []
    for subject in subjects:
        for action, count in frames.items():
            for i in range(count):
                numbers = {"subject": SUBJECTS.index(subject), "action": actions.index(action)}
                numbers.update(subaction=1, camera=1, frame=i * FRAME_STEP)
                fields.append(numbers)
    for numbers, motion in zip(fields, random_motion(len(fields), seed)):
        scale = SCALES[numbers["subject"]]
        joints = forward_kinematics(BODY, motion[None], np.array([scale]))[0]
        numbers.update(joints=joints, motion=motion, motion_error=0, scale=scale, root=(0, 0, 4e3))
        numbers.update(joints_px=SIZE_PX * (joints[:, :2] / 2400 + 0.5), box=(0, 0, 1000))
        numbers.update(box_mm=2400, intrinsics=(1000, 1000, 500, 500))
    return fields


def make_people_record(path, dataset="human3.6m", actions=tuple(TEST_FRAMES), frames=None):
    """Write a data set of people: S1 in training, S9 and S11 (other sizes) in the test."""
    layout = human_layout(BODY)
    image = ImageFormat(SIZE_PX, SIZE_PX, 3, "jpeg")
    frames = TEST_FRAMES if frames is None else frames

    def packed(samples):
        for fields in samples:
            yield image.encode(image_of(fields["joints_px"])), layout.pack(fields)

    splits = {
        "train": packed(_samples({actions[0]: 4}, SUBJECTS[:1], actions, seed=1)),
        "test": packed(_samples(frames, SUBJECTS[1:], actions, seed=2)),
    }
    source = {
        "dataset": dataset,
        "subjects": list(SUBJECTS),
        "actions": list(actions),
        "cameras": list(CAMERAS),
    }
    write_record(path, BODY, layout, image, splits, source)
    return path


class Oracle(ImagePredictor):
    """Knows the labels of a split and adds known errors; forgets where it is at its end."""

    def __init__(self, dataset, method="direct", joints=0.0, motion=0.0):
        super().__init__(dataset.skeleton, method, dataset.image_shape, mx.cpu())
        labels = dataset.read_labels(dataset.keys)
        self._joints = labels["joints"].astype(float) + joints
        self._motion = labels["motion"].astype(float) + motion
        self._next = 0

    def predict(self, images):
        some = slice(self._next, self._next + len(images))
        self._next = some.stop % len(self._joints)
        return Pose(self._joints[some], None if self.method == "direct" else self._motion[some])


def random_people_net(method="kinematic", seed=0):
    """Return an untrained residual network that predicts another pose for every image."""
    mx.random.seed(seed)
    motion = random_motion(60, seed)
    motion[:, ~BODY.is_angle()] = np.random.RandomState(seed).normal(0, 0.01, (60, 3))
    length = get_model("resnet18_v1b", BODY, method).length
    statistics = pose_statistics(BODY.scaled(1 / length), motion)
    net = get_model("resnet18_v1b", BODY, method, statistics)
    net.initialize()
    net(mx.nd.zeros((1, 3, SIZE_PX, SIZE_PX)))
    net.output.weight.set_data(mx.nd.random.normal(0, 0.01, net.output.weight.shape))
    return net


def save_people_run(folder, net, record, seed=0):
    """Write the files of a run that evaluation needs, with two epochs of metrics."""
    config = Config(preset="people").replace(
        data={"record": str(record)},
        model={"method": net.method, "backbone": "resnet18_v1b"},
        train={"seed": seed},
    )
    (folder / "checkpoint").mkdir(parents=True)
    save_config(config, folder / "config.yaml")
    save_skeleton(net.skeleton, folder / "skeleton.yaml")
    save_best(folder / "checkpoint", net, {"epoch": 2})
    names = ("epoch", "train_loss", "train_joint_error", "test_joint_error")
    rows = [dict(zip(names, row)) for row in ((1, 0.5, 90, 120), (2, 0.3, 70, 110))]
    write_metrics(folder, [{**dict.fromkeys(COLUMNS, 0), **row} for row in rows])
    return folder
