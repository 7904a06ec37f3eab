"""Targets that are texts: skeletons, configurations, motion, tables, lists."""

import json
import math
import socket
from unittest import mock

import numpy as np
import yaml

from gluon_dkpr.config import ConfigError, load_config, save_config
from gluon_dkpr.config import from_dict as config_from_dict
from gluon_dkpr.config import to_dict as config_to_dict
from gluon_dkpr.data.h36m.metadata import read_subactions
from gluon_dkpr.data.h36m.names import H36mError
from gluon_dkpr.data.mocap import WIDTH, MocapError, read_clip
from gluon_dkpr.engine.launch.hosts import LaunchError, read_hosts
from gluon_dkpr.engine.run_folder import COLUMNS, RunFolderError, read_metrics, write_metrics
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.geometry.bvh import BvhError, load_bvh, save_bvh
from gluon_dkpr.presets import PRESETS, get_preset
from gluon_dkpr.skeleton import (
    SkeletonError,
    human36m,
    load_skeleton,
    planar,
    save_skeleton,
    skeleton_from_dict,
    skeleton_to_dict,
)
from tests.bvh_sample import FILE
from tests.fuzz.runner import Case, Target

ARM = b"""\
format: gluon_dkpr/skeleton/1
name: arm
dim: 2
length_unit: px
parameters:
- {name: x, unit: length}
- {name: y, unit: length}
- {name: bend, lower: -1.0, upper: 1.5}
joints:
- name: base
  rotations:
  - {axis: [0, 0, 1], parameter: bend, coefficient: 2, rest: 0.1}
- {name: hand, parent: base, offset: [1.0, 0.0], hidden: false}
left_right_pairs: [[base, hand]]
position: [x, y]
"""
HOSTS = b"""# the machines
localhost slots=2 address=10.0.0.9
node1 slots=4 address=10.0.0.7
me@node2 address=10.0.0.8  # no slots
"""
METADATA = b"""<?xml version="1.0"?>
<root><mapping><tr><td/><td/><td>S1</td><td>S5</td></tr>
<tr><td>2</td><td>1</td><td>Directions 1</td><td>Directions 2</td></tr>
<tr><td>2</td><td>2</td><td>Directions</td><td>TakingPhoto</td></tr></mapping></root>
"""


def written(save, folder, name, *values):
    """Return what a writer of ours writes."""
    save(*values, folder / name) if save is not save_bvh else save(folder / name, *values)
    return (folder / name).read_bytes()


def skeletons(folder):
    own = written(save_skeleton, folder, "a.yaml", planar(3))
    return [Case("a.yaml", ARM), Case("a.yaml", own)]


def check_skeleton(skeleton):
    assert skeleton_from_dict(skeleton_to_dict(skeleton)) == skeleton
    joints = forward_kinematics(skeleton, np.full((1, skeleton.num_parameters), 0.3))
    assert joints.shape == (1, skeleton.num_joints, skeleton.dim)
    assert np.isfinite(joints).all()


def configs(folder):
    names = ("toy3", "human36m")
    return [
        Case("a.yaml", written(save_config, folder, "a.yaml", get_preset(name))) for name in names
    ]


def check_config(config):
    assert config_from_dict(yaml.safe_load(yaml.safe_dump(config_to_dict(config)))) == config
    values = [v for part in (config.model, config.train) for v in vars(part).values()]
    assert all(math.isfinite(value) for value in values if type(value) is float)


def motions(folder):
    human = human36m()
    own = written(save_bvh, folder, "a.bvh", human, np.full((2, human.num_parameters), 0.1), 0.02)
    return [Case("a.bvh", FILE.encode()), Case("a.bvh", own)]


def check_motion(found):
    skeleton, motion, frame_time = found
    assert motion.shape[1:] == (skeleton.num_parameters,)
    assert np.isfinite(forward_kinematics(skeleton, motion)).all()
    assert 0 < frame_time < np.inf


def clips(_):
    frame = [0.03, *(0.0, 0.9, 0.0), *(1.0, 0.0, 0.0, 0.0) * 4, 0.1]
    frame = (frame + [1.0, 0.0, 0.0, 0.0] * 8 + [0.2])[:4] + [0.8, 0.6, 0.0, 0.0] * 10
    assert len(frame) == WIDTH
    tree = {"Loop": "wrap", "Frames": [frame, frame, frame]}
    return [Case("humanoid3d_a.json", json.dumps(tree).encode())]


def check_clip(clip):
    assert clip.joints.shape[1:] == (17, 3)
    assert len(clip.times) == len(clip.joints)
    assert np.isfinite(clip.joints).all() and np.isfinite(clip.times).all()
    assert 0 <= clip.frame_time < np.inf


def resolved(name):
    """Stand for a name server."""
    if name != "localhost":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return "127.0.0.1"


def read_hosts_alone(path):
    with mock.patch.object(socket, "gethostbyname", resolved):
        return read_hosts(path)


def check_hosts(hosts):
    assert all(host.slots >= 1 and host.address.count(".") == 3 for host in hosts)


def metrics(folder):
    write_metrics(folder, [{**dict.fromkeys(COLUMNS, 0.5), "epoch": n} for n in (1, 2, 3)])
    return [Case("metrics.csv", (folder / "metrics.csv").read_bytes())]


def check_metrics(rows):
    for row in rows:
        assert set(row) == set(COLUMNS)
        assert int(row["epoch"]) <= 2
        assert [type(float(row[name])) for name in ("seconds", "train_joint_error")]


def check_subactions(found):
    assert all(number >= 0 for takes in found.values() for number in takes.values())


TARGETS = [
    Target("skeleton", skeletons, load_skeleton, (SkeletonError,), check_skeleton),
    Target("configuration", configs, load_config, (ConfigError,), check_config,
           tokens=tuple(name.encode() for name in PRESETS)),
    Target("bvh", motions, load_bvh, (BvhError,), check_motion,
           tokens=(b"JOINT ", b"End Site", b"CHANNELS 3 ", b"OFFSET ", b"MOTION\n", b"Frames: ")),
    Target("mocap", clips, read_clip, (MocapError,), check_clip, tokens=(b"[]", b"[0.0,")),
    Target("hosts", lambda _: [Case("hosts", HOSTS)], read_hosts_alone, (LaunchError,), check_hosts,
           tokens=(b"slots=", b"address=", b"localhost ", b"127.0.0.1", b"-oProxyCommand=x ")),
    Target("metrics", metrics, lambda path: read_metrics(path.parent, 2), (RunFolderError,),
           check_metrics, tokens=(b",", b";", b"\n", b'"', b"nan", b"1e999")),
    Target("h36m metadata", lambda _: [Case("metadata.xml", METADATA)], read_subactions,
           (H36mError,), check_subactions,
           tokens=(b"<mapping>", b"</td>", b"&#x0;", b"&amp;", b"<!ENTITY a 'b'>", b"<![CDATA[",
                   b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b'encoding="utf-16"', b"TakingPhoto 9")),
]  # fmt: skip
