"""The small distribution of the client: httpx is all that it needs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.jobs.runs import PROJECT
from tests.jobs.serving.local_server import Replica, serving
from tests.pipelines.evaluation_cases import rendered

BUNDLE = str(PROJECT / "bundles" / "strings")
READ = """
import sys

unpacked, address, picture = sys.argv[1:]
sys.path.insert(0, unpacked)
for name in ("torch", "ray", "numpy", "PIL", "cv2", "pyarrow"):
    sys.modules[name] = None  # whoever imports it fails
from crnn.client import Client

with Client(address) as client:
    print(client.read(picture).text)
    [page] = client.read_page(picture)
    assert page.width and page.error_code is None
here = {m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "crnn"}
assert here and all(file.startswith(unpacked) for file in here), here
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``pip install ./client`` would install: what it asks of the project's build backend."""
    folder = tmp_path_factory.mktemp("client")
    about = tomllib.loads((PROJECT / "client" / "pyproject.toml").read_text(encoding="utf-8"))
    backend = about["build-system"]["build-backend"]
    build = f"import sys, {backend} as backend; backend.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(folder)],
        cwd=PROJECT / "client", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_it_reads_where_nothing_else_of_the_project_can_be_imported(
    unpacked: Path, tmp_path: Path
) -> None:
    (tmp_path / "12.png").write_bytes(rendered("12"))
    with serving(Replica(bundle=BUNDLE)) as address:
        done = subprocess.run(
            [sys.executable, "-I", "-c", READ, str(unpacked), address, str(tmp_path / "12.png")],
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "12\n"


def test_it_has_no_file_that_the_client_does_not_need(unpacked: Path) -> None:
    found = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*.py")}
    others = {name for name in found if not name.startswith("crnn/client/")}
    assert others == {"crnn/__init__.py", "crnn/errors.py", "crnn/given.py", "crnn/result.py"}
