import functools
import importlib.util
import os
import unittest

import tensorflow as tf

from pipelines import config as config_lib
from pipelines import files, sources
from pipelines.converting import conversion, plan
from tests.pipelines import fixtures
from tests.tools.convert_celeba_test import run
from tools import convert_celeba

_HAS_BEAM = importlib.util.find_spec("apache_beam") is not None


class OnBeamTest(tf.test.TestCase):
    @unittest.skipIf(_HAS_BEAM, "Apache Beam is installed")
    def test_the_extra_is_named_where_it_is_missing(self):
        out = os.path.join(self.create_tempdir().full_path, "out")
        arguments = "--source=digits", "--limit=5", f"--out={out}", "--runner=beam"
        code, _, err = run(convert_celeba, *arguments)
        self.assertEqual(code, 1)
        self.assertIn("pip install 'vae_prod[beam]'", err)

    @unittest.skipUnless(_HAS_BEAM, "Apache Beam, an environment of its own")
    def test_the_direct_runner_gives_the_same_bytes(self):
        from pipelines.converting import on_beam

        folder = self.create_tempdir().full_path
        root = fixtures.write_celeba(os.path.join(folder, "source"))
        config = config_lib.ConvertConfig(image_size=16, shards=3)
        opener = functools.partial(sources.open_source, root, config)
        planned = plan.make_plan(opener(), config)
        beam, local = (os.path.join(folder, name) for name in ("beam", "local"))
        on_beam.convert(planned, opener, beam, ["--runner=DirectRunner"])
        conversion.convert(planned, local)
        self.assertEqual(fixtures.read_all(beam), fixtures.read_all(local))

        files.write(os.path.join(root, "img_align_celeba", "000001.jpg"), "hello")
        with self.assertRaisesRegex(files.UserError, "found 1 so far: 000001.jpg"):
            on_beam.convert(planned, opener, f"{beam}2", ["--runner=DirectRunner"])


if __name__ == "__main__":
    tf.test.main()
