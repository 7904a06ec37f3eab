"""One image of a person and everything that is known about it."""

from __future__ import annotations

import zlib
from typing import Dict, NamedTuple, Tuple

import cv2
import numpy as np

from gluon_dkpr.data.body.draw import bounds_px, compose, draw_faces
from gluon_dkpr.data.body.motion import Moment, draw_moment
from gluon_dkpr.data.body.outfit import draw_colors, draw_outfit, dress
from gluon_dkpr.data.body.person import Person, make_person
from gluon_dkpr.data.body.posing import joints_of, pose, skin
from gluon_dkpr.data.body.room import Room, draw_background, draw_room
from gluon_dkpr.data.body.scene import (
    CAMERAS,
    IMAGE_PX,
    Camera,
    Light,
    draw_cameras,
    draw_light,
)
from gluon_dkpr.data.body.subjects import SUBJECTS, TEST_SUBJECTS, TRAIN_SUBJECTS, Studio
from gluon_dkpr.data.body.suit import draw_suit
from gluon_dkpr.data.body.surface import vertex_normals
from gluon_dkpr.geometry import Crop
from gluon_dkpr.types import Array

# A scene is one subject in one outfit and place, seen twice by each of its cameras.
SCENE_IMAGES = 8
# The crop is larger than the person by this part of the longer side of its box, on each side.
MARGIN = 0.06
# How far from the middle of the scene the person is, mm.
AWAY_MM = 300.0
#: What colours a person: clothes of all kinds, or a suit that tells the parts of the body.
CLOTHES = {"varied": draw_colors, "suit": draw_suit}


class Scene(NamedTuple):
    """What the images of a scene share."""

    subject: str
    person: Person
    colors: Array
    cameras: Tuple[Camera, ...]
    light: Light
    room: Room


class Picture(NamedTuple):
    """An image and its label.

    Attributes:
        image: uint8, (size, size, 3), RGB.
        label: fields of :func:`~gluon_dkpr.data.human.human_layout` but for the motion.
        canvas: which face each part of a pixel shows, of
            :func:`~gluon_dkpr.data.body.draw.draw_faces`.
    """

    image: Array
    label: Dict[str, Array]
    canvas: Array


def draw_scene(
    studio: Studio, seed: int, split: str, number: int, clothes: str = "varied"
) -> Scene:
    """Return a scene, which (seed, split, number) and the kind of clothes alone determine.

    Args:
        studio: from :func:`~gluon_dkpr.data.body.subjects.open_studio`.
        seed: 0 or more.
        split: ``"train"`` or ``"test"``.
        number: of the scene, from 0.
        clothes: a key of ``CLOTHES``.
    """
    random = generator(seed, split, 0, number)
    own = list(TRAIN_SUBJECTS if split == "train" else TEST_SUBJECTS)
    subject = own[int(random.integers(len(own)))]
    outfit = draw_outfit(random)
    person = dress(studio.body, make_person(studio.body, SUBJECTS[subject]), outfit)
    colors = CLOTHES[clothes](studio.body, outfit, random)
    cameras, light = draw_cameras(random), draw_light(random)
    return Scene(subject, person, colors, cameras, light, draw_room(studio.photos, random))


def draw_picture(
    studio: Studio, scene: Scene, seed: int, split: str, index: int, size: int
) -> Picture:
    """Return the image of a scene that (seed, split, index) determine.

    Args:
        studio: as in :func:`draw_scene`.
        scene: of number ``index // SCENE_IMAGES``.
        seed, split: as in :func:`draw_scene`.
        index: of the image in its split, from 0.
        size: of the crop, px.
    """
    random = generator(seed, split, 1, index)
    moment = draw_moment(studio.actions, studio.skeleton, split, random)
    return render(scene, moment, index % len(CAMERAS), size, random)


def render(
    scene: Scene, moment: Moment, number: int, size: int, random: np.random.Generator
) -> Picture:
    """Return what a camera of a scene sees of a moment.

    Args:
        scene: with the person.
        moment: its pose.
        number: of the camera.
        size: of the crop, px.
        random: places the person and makes the noise.
    """
    camera, person = scene.cameras[number], scene.person
    posed = pose(person, moment.motion[None])
    vertices, joints = skin(person, posed, 0), joints_of(person, posed)[0]
    # The lowest point stands on the floor, or as far above it as the clip's.
    x, z = random.uniform(-AWAY_MM, AWAY_MM, 2)
    move = np.array([x, -moment.air_mm - vertices[:, 1].max(), z]) - joints[0] * [1, 0, 1]
    vertices, joints = vertices + move, joints + move
    seen, joints = camera.to_camera(vertices), camera.to_camera(joints)
    pixels = camera.project(seen)
    crop = Crop.around_box(bounds_px(pixels), size, MARGIN)
    canvas = draw_faces(crop.to_crop(pixels), seen[:, 2], person.topology.faces, size)
    background = draw_background(scene.room, camera, scene.light, crop, vertices, random)
    image = compose(canvas, shaded(person, vertices, scene.colors, scene.light), background)
    image = _bordered(_photographed(image, random), crop)
    label = {
        "joints": joints - joints[0],
        "root": joints[0],
        "joints_px": crop.to_crop(camera.project(joints)),
        "box": np.array([crop.left, crop.top, crop.side]),
        "box_mm": crop.side * joints[0, 2] / camera.intrinsics[0],
        "intrinsics": camera.intrinsics,
        "subject": list(SUBJECTS).index(scene.subject),
        "action": moment.action,
        "subaction": 2 if moment.mirrored else 1,
        "camera": number,
        "frame": moment.frame,
    }
    return Picture(image, label, canvas)


def shaded(person: Person, vertices: Array, colors: Array, light: Light) -> Array:
    """Return the colours of faces in the light, (F, 3), 0-255 and above.

    Args:
        person: whose faces they are.
        vertices: of the pose, world, (N, 3).
        colors: of the faces in white light, (F, 3).
        light: of the scene.
    """
    faces = person.topology.faces
    normal = vertex_normals(vertices, faces)[faces].mean(axis=1)
    # More comes from above (y points down) than from below.
    ambient = light.ambient * (1 - 0.25 * normal[:, 1])
    lamp = light.lamp * np.clip(normal @ light.direction, 0, None)
    return colors * (ambient[:, None] + lamp[:, None] * light.tint)


def generator(seed: int, split: str, *place: int) -> np.random.Generator:
    """Return the random numbers of a place in a split, which depend on nothing else."""
    key = np.random.SeedSequence([seed, zlib.crc32(split.encode()), *place])
    return np.random.Generator(np.random.Philox(key))


def _photographed(image: Array, random: np.random.Generator) -> Array:
    """Return an image as a camera takes it: exposure, contrast, blur and noise."""
    gain, lift, blur, noise = random.uniform((0.8, -12, 0.0, 0.0), (1.2, 12, 0.7, 4.0))
    if blur > 0.25:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    grain = noise * random.standard_normal((*image.shape[:2], 1), dtype=np.float32)
    return np.clip(np.round(image * np.float32(gain) + np.float32(lift) + grain), 0, 255).astype(
        np.uint8
    )


def _bordered(image: Array, crop: Crop) -> Array:
    """Return the crop with black where it reaches beyond the camera's image."""
    edges = (crop.left, crop.top, IMAGE_PX - crop.left, IMAGE_PX - crop.top)
    if min(edges[:2]) < 0 or max(crop.left, crop.top) + crop.side > IMAGE_PX:
        centre = crop.to_image(np.stack([np.arange(crop.size)] * 2, axis=1))
        inside = (centre > -0.5) & (centre < IMAGE_PX - 0.5)
        image = image * (inside[:, 1][:, None] & inside[:, 0])[..., None]
    return image
