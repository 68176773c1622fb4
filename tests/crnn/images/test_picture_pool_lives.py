"""How the processes of a picture pool begin and end."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crnn.errors import WorkersLostError
from crnn.images.contract import PictureContract
from crnn.images.sandbox.pool import Encoded, PicturePool
from tests.crnn import poison
from tests.crnn.moments import until
from tests.jobs.processes import look

CONTRACT = PictureContract()


@pytest.mark.parametrize("end", ["close", "collect"])
def test_no_process_outlives_its_pool(end: str) -> None:
    pool = PicturePool(CONTRACT)
    stream = pool.prepare([Encoded(data=poison.good_pictures(1)[0])] * 2)
    next(stream)
    running = pool.process_ids()
    assert len(running) == 1 and look(running[0])
    if end == "close":
        pool.close()
        pool.close()
        with pytest.raises(ValueError, match="closed"):
            list(pool.prepare([Encoded(data=b"x")]))
    del pool, stream
    gc.collect()
    until(lambda: not any(look(pid) for pid in running))


PARENT = """
from crnn.images.contract import PictureContract
from crnn.images.sandbox.pool import Encoded, PicturePool
from tests.crnn.poison import time_hog

with PicturePool(PictureContract(), processes=2) as pool:
    list(pool.prepare([Encoded(data=b"x")] * 2))
    print(*pool.process_ids(), flush=True)
    list(pool.prepare([Encoded(data=time_hog())] * 2))
"""


@pytest.mark.fault
@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_its_parent(with_signal: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert parent.stdout is not None
    running = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(running) >= 1 and all(look(pid) for pid in running)
    parent.send_signal(with_signal)
    parent.wait()
    parent.stdout.close()
    until(lambda: not any(look(pid) for pid in running))


def test_processes_that_cannot_start_are_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('this one is broken')")
    monkeypatch.syspath_prepend(tmp_path)  # where the processes find modules as well
    with PicturePool(CONTRACT) as pool:
        for _ in range(2):
            with pytest.raises(WorkersLostError, match=r"(?s)in a row died .*this one is broken"):
                list(pool.prepare(Encoded(data=data) for data in poison.good_pictures(3)))


def test_the_process_imports_nothing_heavy() -> None:
    script = (
        "import sys, crnn.images.sandbox.process; "
        "print({'torch', 'pyarrow', 'ray', 'boto3'} & {name.split('.')[0] for name in sys.modules})"
    )
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "set()"
