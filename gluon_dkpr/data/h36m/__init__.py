"""Human3.6M as it is distributed, into a data set. Needs the extra ``h36m``: cdflib and h5py.

``layouts`` finds the files, ``plan`` chooses the frames, ``convert`` makes samples of one video,
``pool`` does so in parallel, ``parts`` keeps what is done, ``make`` joins it.
"""

from gluon_dkpr.data.h36m.make import Options, make_h36m_record
from gluon_dkpr.data.h36m.names import H36mError, Problem
from gluon_dkpr.data.h36m.plan import PAPER_FRAMES, Selection
from gluon_dkpr.data.h36m.summary import StrictError, Summary, problem_lines

__all__ = [
    "PAPER_FRAMES",
    "H36mError",
    "Options",
    "Problem",
    "Selection",
    "StrictError",
    "Summary",
    "make_h36m_record",
    "problem_lines",
]
