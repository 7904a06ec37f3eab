"""Cores that share a thread list are one."""

import os

import pytest

from gluon_dkpr import cores


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that pretends these lists of siblings, one for each usable core."""

    def pretend(*siblings):
        monkeypatch.setattr(cores, "CPUS", tmp_path)
        numbers = set(range(len(siblings)))
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: numbers, raising=False)
        for number, text in enumerate(siblings):
            if text is not None:
                folder = tmp_path / f"cpu{number}" / "topology"
                folder.mkdir(parents=True)
                (folder / "thread_siblings_list").write_text(text)

    return pretend


@pytest.mark.parametrize(
    "siblings, usable, physical",
    [
        (["0", "1"], 2, 2),
        (["0,2", "1,3", "0,2", "1,3"], 4, 2),
        (["0-1", "0-1"], 2, 1),
        ([None, None], 2, 2),  # a container that hides it
    ],
)
def test_hyper_threads_are_one_core(machine, monkeypatch, siblings, usable, physical):
    machine(*siblings)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert (cores.usable_cores(), cores.physical_cores()) == (usable, physical)
    assert cores.openmp_threads() == str(physical)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert cores.openmp_threads() == "7"


def test_a_system_without_affinity_counts_all(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores.physical_cores() == cores.usable_cores() == os.cpu_count()
