"""Takes pictures of a folder in TensorBoard, with a headless browser.

    pip install playwright      # the package alone; uses an installed browser
    python tools/look_at_tensorboard.py searches/mails /tmp/pictures

Starts TensorBoard on the folder and Chromium, waits until each page shows something,
and writes `scalars.png`, `hparams-table.png`, `hparams-parallel.png` and
`projector.png`. Prints errors of the browser's console and requests to other machines.
The exit code is 1 for an error or an empty page.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
)  # fmt: skip
WAIT = 30_000  # milliseconds
Step = Callable[[Any], None]


def scalars(page: Any) -> None:
    """Waits for curves."""
    page.wait_for_selector("scalar-card svg path, line-chart canvas", timeout=WAIT)


def table(page: Any) -> None:
    """Waits for the trials of a search."""
    page.wait_for_selector("tf-hparams-table-view, tb-data-table", timeout=WAIT)


def parallel(page: Any) -> None:
    """Opens the parallel coordinates and waits for their lines."""
    page.get_by_text("PARALLEL COORDINATES VIEW", exact=False).first.click()
    page.wait_for_selector("g.axis, .axis", timeout=WAIT)


def projected(page: Any) -> None:
    """Waits for points and colors them by label; the page is in a frame."""
    inner = page.frame_locator("iframe").frame_locator("iframe")
    points = inner.locator(".numDataPoints", has_text=re.compile("[1-9]"))
    points.wait_for(timeout=WAIT)
    inner.locator("#colorby").click()
    inner.locator("#colorby paper-item").get_by_text("label").first.click()


PAGES: dict[str, tuple[str, Step]] = {
    "scalars": ("#timeseries", scalars),
    "hparams-table": ("#hparams", table),
    "hparams-parallel": ("#hparams", parallel),
    "projector": ("#projector", projected),
}


def main() -> int:
    """Takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--browser", default=shutil.which("chromium"))
    parser.add_argument("--page", choices=PAGES, action="append", help="some of them")
    parser.add_argument("--settle", type=float, default=5.0, help="seconds a page")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tensorboard.main", "--host", "127.0.0.1"]
    command += ["--port", "0"]
    server = subprocess.Popen(
        [*command, "--logdir", str(arguments.logs)], stderr=subprocess.PIPE, text=True
    )
    try:
        line = next(line for line in server.stderr if "http://" in line)
        address = line.split("at ")[1].split(" ")[0]
        return look(address, arguments)
    finally:
        server.kill()
        server.wait()


def look(address: str, arguments: argparse.Namespace) -> int:
    """Opens each page, and returns 1 if one of them has an error."""
    from playwright.sync_api import TimeoutError as NothingShown
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=arguments.browser, args=list(FLAGS)
        )
        for name in arguments.page or PAGES:
            place, step = PAGES[name]
            page = browser.new_page(viewport={"width": 1400, "height": 1200})
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda one: told_outside(one.url, address))
            page.goto(address + place)
            try:
                step(page)
            except NothingShown as error:
                complaints.append(f"{name} shows nothing: {error}")
            page.wait_for_timeout(1000 * arguments.settle)
            page.screenshot(path=arguments.output / f"{name}.png")
            page.close()
            print(f"{name}: {arguments.output / name}.png")
        browser.close()
    print(*complaints, sep="\n")
    return 1 if complaints else 0


def told_outside(url: str, address: str) -> None:
    """Prints a request to an address other than TensorBoard's."""
    if not url.startswith((address, "data:", "blob:")):
        print(f"asked for {url}")


if __name__ == "__main__":
    sys.exit(main())
