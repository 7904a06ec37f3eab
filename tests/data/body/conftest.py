"""The packages that bring mesh, motion and photos, or a reason to skip."""

from typing import NamedTuple

import numpy as np
import pytest
from body_poses import AVERAGE

from gluon_dkpr.data.body.files import BodyError, body_folder
from gluon_dkpr.data.body.person import Person, make_person
from gluon_dkpr.data.body.render import Scene
from gluon_dkpr.data.body.room import Room
from gluon_dkpr.data.body.scene import Camera, Light
from gluon_dkpr.data.body.subjects import Studio, open_studio
from gluon_dkpr.data.mocap import MocapError


@pytest.fixture(scope="session")
def folder():
    try:
        return body_folder()
    except BodyError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def person(folder) -> Person:
    return make_person(folder, AVERAGE)


@pytest.fixture(scope="session")
def studio() -> Studio:
    try:
        return open_studio()
    except (BodyError, MocapError) as error:
        pytest.skip(str(error))


class Front(NamedTuple):
    """A scene with one camera in front of the person, and nothing left to chance but its place."""

    scene: Scene
    camera: Camera


@pytest.fixture
def front(person) -> Front:
    """The person is white before a black backdrop, the camera 4 m away on the world's -z side."""
    camera = Camera(np.eye(3), np.array([0.0, -900.0, -4000.0]), np.array([1100, 1100, 500, 500]))
    light = Light(np.array([0.0, -1.0, 0.0]), 1.0, 0.0, np.ones(3))
    room = Room((np.zeros((256, 256, 3), np.uint8),), (0.0,), None, 0.0)
    colors = np.full((len(person.topology.faces), 3), 255.0)
    return Front(Scene("P1", person, colors, (camera,), light, room), camera)
