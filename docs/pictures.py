"""Makes the two pictures of the README: the page of a running service, and a report.

    pip install -c requirements.lock -e '.[dev]' && python docs/pictures.py

Every picture that is read in them is rendered by this project. The service is ``jobs/serve.py``
with the shipped bundle, the report that of ``jobs/evaluate.py`` on ``SAMPLES`` rendered words.
Needs Chromium on the PATH, and takes a few minutes. Writes docs/page.png and docs/report.png.
"""

from __future__ import annotations

import io
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipelines.render.config import RenderConfig, chosen_fonts
from pipelines.render.style import named_style
from pipelines.render.synth import render_samples

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
SAMPLES = 2000
READY_S = 300
WIDTH_PX, HEIGHT_PX = 900, 945
REPORT_FROM = "Confidence"
"""The heading at which the picture of the report begins."""


def main() -> None:
    """Both pictures, one after the other."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as name, browser() as chromium:
        folder = Path(name)
        with service() as address:
            keep(of_page(opened(chromium, address), words(folder)), DOCS / "page.png")
        report = opened(chromium, evaluated(folder).as_uri())
        heading = report.get_by_role("heading", name=REPORT_FROM, exact=True)
        keep(shot(report, heading), DOCS / "report.png")


def of_page(page: Page, pictures: list[Path]) -> bytes:
    """The page of the service once it has read them."""
    page.locator("#dot.on").wait_for()
    page.locator("#files").set_input_files(pictures)
    page.locator("#list > li:not(.waiting)").nth(len(pictures) - 1).wait_for()
    return shot(page)


def shot(page: Page, heading: Locator | None = None) -> bytes:
    """``HEIGHT_PX`` of a page, from its top or from a little above a heading."""
    box = heading.bounding_box() if heading else None
    top = box["y"] - 30 if box else 0
    area = {"x": 0, "y": top, "width": WIDTH_PX, "height": HEIGHT_PX}
    return page.screenshot(full_page=True, clip=area, animations="disabled")


def words(folder: Path) -> list[Path]:
    """Two rendered words as files."""
    style = named_style("full", {})
    config = RenderConfig(count=3, seed=5, charset="ascii", content="english", style=style)
    files = []
    for sample in render_samples(config, chosen_fonts(config, system=False), 1, 3):
        files.append(folder / f"word-{len(files) + 1}.jpg")
        files[-1].write_bytes(sample["image"])
    return files


def evaluated(folder: Path) -> Path:
    """The report of the shipped bundle on rendered words that training never sees."""
    held_out = ["--texts", "held_out", "--no-system-fonts", "--style", "full"]
    job("synthesize", folder / "words", "--count", SAMPLES, *held_out)
    job(
        "evaluate", "--bundle", ROOT / "bundles/mobile", "--data", folder / "words", "--out", folder
    )
    return folder / "report.html"


def job(name: str, *arguments: object) -> None:
    """One job of this project, to its end."""
    subprocess.run([sys.executable, ROOT / f"jobs/{name}.py", *map(str, arguments)], check=True)


@contextmanager
def service() -> Iterator[str]:
    """``jobs/serve.py`` on a free port, once it is ready; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, ROOT / "jobs/serve.py", "--port", str(port), "--min-replicas", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if not any(f":{port}" in line for line in process.stdout):
                raise SystemExit(f"the service ended with status {process.wait(READY_S)}")
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.send_signal(signal.SIGINT)


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise SystemExit(f"none of {', '.join(PROGRAMS)} is on the PATH; install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def opened(chromium: Browser, address: str) -> Page:
    """An address in a window of the pictures' width, by day."""
    page = chromium.new_page(viewport={"width": WIDTH_PX, "height": 900}, color_scheme="light")
    page.set_default_timeout(READY_S * 1000)
    page.goto(address)
    return page


def keep(png: bytes, file: Path) -> None:
    """With a palette: a third of the bytes."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=2)
    picture.save(file, "PNG", optimize=True)
    size = f"{picture.width}x{picture.height} px, {file.stat().st_size:,} bytes"
    print(f"{file.relative_to(ROOT)}: {size}")


if __name__ == "__main__":
    main()
