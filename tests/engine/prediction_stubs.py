"""Predictors whose answers are known, and pictures and videos to show them."""

import cv2
import numpy as np
import people as small
from hand_set import SHAPE, constant_net
from PIL import Image

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.prediction import Options, predict_inputs
from gluon_dkpr.engine.predictor import ImagePredictor, NetworkPredictor
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.model_zoo import Pose
from gluon_dkpr.skeleton import planar

BODY = small.BODY
SIZE_PX = 64
PLANAR = planar(3)
MOTION = np.array([60.0, 40.0, np.radians(35.0)])
TABLES = ("json", "csv", "npz", "bvh")


class Person(ImagePredictor):
    """Sees the n-th motion in the n-th image, and begins again at the end."""

    def __init__(self, motion, method="kinematic", margin=0.0):
        super().__init__(BODY, method, (SIZE_PX, SIZE_PX, 3), mx.cpu(), margin)
        self.motion = np.atleast_2d(motion)
        self.batches = []

    def predict(self, images):
        first = sum(self.batches)
        self.batches.append(len(images))
        motion = self.motion[(first + np.arange(len(images))) % len(self.motion)]
        joints = forward_kinematics(BODY, motion)
        return Pose(joints, None if self.method == "direct" else motion.copy())


def picture(height=80, width=100, level=90):
    """Return a picture, uint8, (height, width, 3)."""
    image = np.full((height, width, 3), level, np.uint8)
    image[: height // 2, : width // 2] = (10, 200, 60)
    return image


def save(image, path):
    Image.fromarray(image).save(path)
    return path


def save_video(path, frames=20, height=48, width=64, fps=20.0, codec="MJPG", changes=None):
    """Write a video whose frames get brighter; MJPG wants .avi, mp4v .mp4."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (width, height))
    assert writer.isOpened()
    for i in range(frames):
        frame = np.full((height, width, 3), 40 + 10 * (i % 20), np.uint8)
        writer.write(frame if changes is None else changes(i, frame))
    writer.release()
    return path


def names_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def white_on_black(height=64, width=64):
    image = np.zeros((height, width, 3), np.uint8)
    image[height // 3 : height // 2, width // 3 : width // 2] = 255
    return image


def planar_predictor():
    return NetworkPredictor(constant_net("kinematic", MOTION), SHAPE)


def person(count=1, method="kinematic"):
    return Person(small.random_motion(count), method)


def predict(predictor, inputs, folder, **options):
    return list(predict_inputs(predictor, inputs, folder, Options(**options)))
