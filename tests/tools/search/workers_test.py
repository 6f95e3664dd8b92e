import os
import pathlib
import subprocess
from unittest import mock

import tensorflow as tf

import tools
from tools.search import workers


class WorkersTest(tf.test.TestCase):
    def test_run_this_packages_code_whatever_the_current_folder_holds(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        for name in ("tools", "pipelines", "json"):
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text("raise SystemExit('theirs')")
        with mock.patch.object(subprocess, "Popen") as started:
            workers.Workers(1, str(folder), 1234)
        (command,), options = started.call_args
        self.assertEqual(command[-3:-1], ["-m", "tools.tune"])
        code = "import json, pipelines, tools; print(tools.__file__)"
        done = subprocess.run(
            [*command[:-3], "-c", code],
            cwd=folder,
            env=options["env"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.stdout.strip(), os.path.abspath(tools.__file__))
