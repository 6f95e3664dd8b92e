"""What people look at, in a browser: the documents, a report, TensorBoard.

Every page is opened 1,280 and 390 pixels wide, and must say no error and fit; how
TensorBoard fits is its own matter. With `VAE_PROD_EYES=DIR` pictures are kept, for
people to look at too.
"""

import contextlib
import functools
import http.server
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import threading
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized
from tensorboard import program

from tests.pipelines import shard_fixtures
from tests.tools import train_test
from tools import train
from vae_prod.reporting import image_grids, report

browser = pytest.importorskip("tests.eyes.browser", reason="needs selenium")

_ROOT = pathlib.Path(__file__).parents[2]
_PICTURES = os.environ.get("VAE_PROD_EYES", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browser.lacking()), reason=browser.lacking()),
]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextlib.contextmanager
def _served(folder):
    """Serve a folder; give its address."""
    handler = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _report() -> report.Report:
    """Return a report with all that reports are made of, wide and long."""
    numbers = [f"figure {number}" for number in range(14)]
    wide = np.zeros((300, 2400, 3), np.uint8)
    parts = [
        report.Text("A word of many letters: " + "path/to/" * 30),
        report.Verdict("What to do. " * 20),
        report.Code("python -m tools.train --data_dir=data " + "--flag=value " * 20),
        report.Table(["name", *numbers], [["a" * 80, *range(14)]] * 3, "A wide table"),
        report.Picture("wide", image_grids.png_bytes(wide), "A wide picture"),
    ]
    headings = ("One", "Two", "Three", "A heading that is longer than a phone is wide")
    sections = [report.Section(heading, parts) for heading in headings]
    return report.Report("A report", "What it shows. " * 20, sections)


class _EyesTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = cls.enterClassContext(browser.opened())
        cls.folder = cls.create_tempdir(cls()).full_path

    def look(self, address, name, **more):
        faults = []
        for width in browser.WIDTHS:
            file = f"{name}-{width}.png"
            picture = _PICTURES and os.path.join(_PICTURES, file)
            faults += self.browser.faults(address, width, picture, **more)
        self.assertEqual(faults, [])


class ReportTest(_EyesTest):
    def test_report(self):
        path = os.path.join(self.folder, "report.html")
        _report().write(path)
        self.look(f"file://{path}", "report")


class DocumentsTest(_EyesTest):
    def test_documents(self):
        if not importlib.util.find_spec("mkdocs"):
            self.skipTest("needs the docs extra")
        command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir"]
        subprocess.run([*command, self.folder], cwd=_ROOT, check=True)
        pages = sorted(pathlib.Path(self.folder).rglob("index.html"))
        self.assertGreater(len(pages), 20)
        with _served(self.folder) as address:
            for page in pages:
                place = page.parent.relative_to(self.folder).as_posix()
                with self.subTest(place):
                    name = "docs-" + place.replace("/", "-")
                    self.look(f"{address}/{place}/", name)


class TensorBoardTest(_EyesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        data_dir, run_dir = (os.path.join(cls.folder, name) for name in ("data", "run"))
        os.makedirs(data_dir)
        sizes = {"train": (12, 8), "validation": (5,), "test": (7,)}
        shard_fixtures.write(data_dir, sizes, shape=(8, 8, 3))
        argv = (f"--data_dir={data_dir}", f"--run_dir={run_dir}", *train_test.TINY)
        code, _, err = train_test.run_program(train, *argv)
        if code:
            raise AssertionError(err)
        board = program.TensorBoard()
        logs = os.path.join(run_dir, "tensorboard")
        board.configure(argv=["", f"--logdir={logs}", "--port=0", "--host=127.0.0.1"])
        cls.address = board.launch()

    # Each with what its page holds once there is something to see.
    @parameterized.parameters(
        ("timeseries", "document.body.innerText.includes('/elbo')"),
        ("scalars", "document.querySelector('tf-scalar-dashboard')"),
        ("images", "document.querySelector('tf-image-dashboard')"),
        ("histograms", "document.querySelector('tf-histogram-dashboard')"),
        ("distributions", "document.querySelector('tf-distribution-dashboard')"),
        ("text", "document.querySelector('tf-text-dashboard')"),
    )
    def test_dashboard(self, name, until):
        address = f"{self.address}#{name}"
        self.look(address, f"tensorboard-{name}", until=until, must_fit=False)

    def test_these_are_all_that_have_something(self):
        with urllib.request.urlopen(f"{self.address}data/plugins_listing") as answer:
            plugins = json.load(answer)
        shown = {name for name, plugin in plugins.items() if plugin["enabled"]}
        looked_at = {"timeseries", "scalars", "images", "histograms", "distributions"}
        self.assertEqual(shown, looked_at | {"text"})


if __name__ == "__main__":
    tf.test.main()
