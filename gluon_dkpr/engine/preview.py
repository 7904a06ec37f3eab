"""A contact sheet of a data set, to look at before anything is trained on it."""

from __future__ import annotations

import numpy as np

from gluon_dkpr.data import RecordDataset
from gluon_dkpr.data.human import label_names
from gluon_dkpr.data.record import RecordError
from gluon_dkpr.viz import pose_sheet

COLUMNS = 6
# Smaller images are enlarged to about this width, px.
WIDTH_PX = 224


def write_preview(path, picture, images: int = 24) -> None:
    """Write a contact sheet of people: images evenly from all splits, with their skeletons.

    The splits follow each other. Under an image stand subject, action and number of the camera.

    Args:
        path: NAME of a data set of people.
        picture: file to write; its suffix chooses the format.
        images: on the sheet, at most.

    Raises:
        RecordError: if the data set cannot be read or its labels have no ``joints_px``.
        PictureError: for a suffix that stands for no known format.
    """
    shown, poses, captions = [], [], []
    splits = [
        name for name, (_, count) in RecordDataset(path, "train").info.splits.items() if count
    ]
    for split in splits:
        with RecordDataset(path, split) as dataset:
            if "joints_px" not in dataset.layout.names:
                raise RecordError(f"{path}: labels have no 'joints_px', expected those of people")
            count = min(max(1, images // len(splits)), len(dataset))
            steps = np.linspace(0, len(dataset) - 1, count).astype(int)
            pictures, labels = dataset.read(dataset.keys[steps])
            source, skeleton = dataset.info.source, dataset.skeleton
        names = {kind: label_names(source, f"{kind}s") for kind in ("subject", "action")}
        shown += list(pictures)
        poses += list(labels["joints_px"])
        for i in range(count):
            words = [found[int(labels[kind][i])] for kind, found in names.items() if found]
            captions.append(" ".join([*words, f"{int(labels['camera'][i])}"]))
    scale = max(1, round(WIDTH_PX / shown[0].shape[1]))
    pose_sheet(shown, skeleton, poses, captions, picture, COLUMNS, scale)
