"""Two trainings never share a folder."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.data import make_toy_record
from gluon_dkpr.engine.run_folder import RunFolderError, lock_folder, lock_free_folder
from gluon_dkpr.engine.run_lock import FolderLock
from gluon_dkpr.engine.train import train, train_new
from gluon_dkpr.presets import get_preset

TOOL = Path(__file__).parents[2] / "tools" / "train.py"
# Takes the lock of a folder, and leaves a forked child alone with what it has inherited.
HOLDER = """
import os, sys, time
from pathlib import Path
from gluon_dkpr.engine.run_lock import FolderLock

lock = FolderLock.take(Path(sys.argv[1]))
if not os.fork():
    print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy3"
    make_toy_record(path, train=32, test=8)
    return get_preset("toy3").replace(
        data={"record": str(path)}, train={"epochs": 1, "batch_size": 16}
    )


class TestLock:
    def test_is_one_process_s_until_it_is_given_back(self, tmp_path):
        with FolderLock.take(tmp_path / "a" / "run"):
            assert FolderLock.take(tmp_path / "a" / "run") is None
        assert not list(tmp_path.iterdir()), "folders that were made for nothing"
        with FolderLock.take(tmp_path / "a" / "run") as lock:
            (lock.folder / "config.yaml").write_text("")
        assert [path.name for path in (tmp_path / "a" / "run").iterdir()] == ["config.yaml"]

    def test_is_gone_with_a_killed_process_even_if_its_child_lives(self, tmp_path):
        command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
            child = int(holder.stdout.readline())
            try:
                assert FolderLock.take(tmp_path / "run") is None
                holder.kill()
                holder.wait()
                os.kill(child, 0)
                with FolderLock.take(tmp_path / "run") as lock:
                    assert lock is not None
            finally:
                os.kill(child, signal.SIGKILL)
                holder.stdout.close()

    def test_a_folder_that_was_taken_away_is_made_again(self, tmp_path):
        """The lock of who was there before neither holds nor is taken for the new one."""
        old = FolderLock.take(tmp_path / "run")
        (tmp_path / "run").rename(tmp_path / "moved")
        with FolderLock.take(tmp_path / "run") as new:
            assert new is not None
            old.release()
            assert FolderLock.take(tmp_path / "run") is None

    def test_holds_while_others_take_and_give_back(self, tmp_path):
        inside, most = [0], [0]

        def use(_):
            for _ in range(200):
                lock = FolderLock.take(tmp_path / "runs" / "run")
                if lock is not None:
                    inside[0] += 1
                    time.sleep(1e-4)
                    most[0] = max(most[0], inside[0])
                    inside[0] -= 1
                    lock.release()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(use, range(8)))
        assert most == [1]
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]

    def test_all_who_choose_at_once_get_a_folder_of_their_own(self, tmp_path):
        begin = threading.Barrier(16)

        def choose(_):
            begin.wait()
            return lock_free_folder(tmp_path / "run")

        with ThreadPoolExecutor(16) as pool:
            locks = list(pool.map(choose, range(16)))
        names = {lock.folder.name for lock in locks}
        assert names == {"run", *(f"run-{number}" for number in range(2, 18))} - {"run-17"}
        for lock in locks:
            lock.release()

    def test_a_folder_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        for lock in (lambda path: lock_folder(path, False), lock_free_folder):
            with pytest.raises(RunFolderError, match="not a writable folder: Not a directory"):
                lock(tmp_path / "file" / "run")


class TestTraining:
    @pytest.mark.parametrize("resume", [False, True])
    def test_a_folder_in_use_is_refused(self, resume, config, tmp_path):
        if resume:
            train(config, tmp_path / "run", [mx.cpu()])
        with FolderLock.take(tmp_path / "run"):
            with pytest.raises(RunFolderError, match="run: another process is training in it"):
                train(config, tmp_path / "run", [mx.cpu()], resume=resume)
            folder, _ = train_new(config, tmp_path / "run", [mx.cpu()])
        assert folder == tmp_path / "run-2"
        assert not list(tmp_path.rglob(".lock"))

    def test_two_started_at_once_take_two_folders(self, config, tmp_path):
        command = [sys.executable, str(TOOL), "--data", config.data.record, "--epochs", "1"]
        both = [
            subprocess.Popen(
                command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        outputs = [process.communicate(timeout=120) for process in both]
        assert [process.returncode for process in both] == [0, 0], outputs
        names = {"toy3-kinematic", "toy3-kinematic-2"}
        assert {path.name for path in (tmp_path / "runs").iterdir()} == names
        shown = {line.split()[1] for out, _ in outputs for line in out.splitlines()
                 if line.startswith("result.json")}  # fmt: skip
        assert shown == {f"runs/{name}/result.json" for name in names}

    def test_a_run_that_is_not_there_is_said_before_data_are_made(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(RunFolderError, match="typo: holds no training run to resume"):
            train(get_preset("toy3"), tmp_path / "typo", [mx.cpu()], resume=True)
        assert not list(tmp_path.iterdir())
