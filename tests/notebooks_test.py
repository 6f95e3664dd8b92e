"""The notebooks run as they stand, on fewer images, and keep what they showed."""

import json
import pathlib
import re
import tempfile
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

_FOLDER = pathlib.Path(__file__).parents[1] / "docs" / "notebooks"
_NOTEBOOKS = sorted((path.name,) for path in _FOLDER.iterdir())
_MOST_BYTES = 500_000
# Values that a notebook sets for two minutes' work, and those of the test.
_SIZES = (r"^IMAGES, EPOCHS = \d+, \d+$", "IMAGES, EPOCHS = 100, 1")


def _code_cells(name: str) -> list[dict]:
    cells = json.loads((_FOLDER / name).read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@parameterized.parameters(*_NOTEBOOKS)
class NotebooksTest(tf.test.TestCase, parameterized.TestCase):
    def test_runs(self, name):
        source = "\n".join("".join(cell["source"]) for cell in _code_cells(name))
        source, changed = re.subn(*_SIZES, source, flags=re.MULTILINE)
        self.assertEqual(changed, 1)
        names = {}
        with mock.patch.object(tempfile, "tempdir", self.create_tempdir().full_path):
            exec(compile(source, name, "exec"), names)
        self.assertLess(names["difference"], 1e-3)

    def test_holds_what_a_whole_run_showed(self, name):
        self.assertLess((_FOLDER / name).stat().st_size, _MOST_BYTES)
        cells = _code_cells(name)
        counts = [cell["execution_count"] for cell in cells]
        self.assertEqual(counts, list(range(1, len(cells) + 1)))
        outputs = [output for cell in cells for output in cell["outputs"]]
        kinds = {output["output_type"] for output in outputs}
        self.assertEqual(kinds, {"stream", "execute_result"})
        self.assertNotRegex(json.dumps(cells), r"/tmp/|/home/|Traceback")


if __name__ == "__main__":
    tf.test.main()
