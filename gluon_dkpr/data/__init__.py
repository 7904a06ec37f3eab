"""Data sets on disk, batches of them, and the toy data. Works without MXNet."""

from gluon_dkpr.data.dataset import RecordDataset, read_info
from gluon_dkpr.data.images import ImageFormat, to_network_input
from gluon_dkpr.data.joint_files import JointFileError, read_joints
from gluon_dkpr.data.layout import LabelField, LabelLayout, pose_layout
from gluon_dkpr.data.loader import Batch, BatchLoader, LoaderError
from gluon_dkpr.data.mocap import (
    Clip,
    MocapError,
    humanoid_skeleton,
    list_clips,
    read_clip,
    retarget,
)
from gluon_dkpr.data.record import RecordInfo, record_paths, write_record
from gluon_dkpr.data.recordio import DamagedRecordError, RecordError
from gluon_dkpr.data.render import render_planar
from gluon_dkpr.data.toy import ToyError, is_drawable, make_toy_record, sample_motion

__all__ = [
    "Batch",
    "BatchLoader",
    "Clip",
    "DamagedRecordError",
    "ImageFormat",
    "JointFileError",
    "LabelField",
    "LabelLayout",
    "LoaderError",
    "MocapError",
    "RecordDataset",
    "RecordError",
    "RecordInfo",
    "ToyError",
    "humanoid_skeleton",
    "is_drawable",
    "list_clips",
    "make_toy_record",
    "pose_layout",
    "read_clip",
    "read_info",
    "read_joints",
    "record_paths",
    "render_planar",
    "retarget",
    "sample_motion",
    "to_network_input",
    "write_record",
]
