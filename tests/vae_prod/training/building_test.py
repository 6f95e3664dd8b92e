import tensorflow as tf

from pipelines import files
from tests.vae_prod import tiny
from vae_prod import config as config_lib
from vae_prod.core import accelerators
from vae_prod.training import building


class BuildTest(tf.test.TestCase):
    def test_refused_combination_is_refused_before_building(self):
        if accelerators.visible():
            self.skipTest("refused on CPU only")
        model = tiny.config(decoder="upsampling", upsampling="bilinear")
        config = config_lib.TrainConfig(jit_compile="true", mixed_precision="bfloat16")
        with self.assertRaisesRegex(files.UserError, "can't be compiled on CPU"):
            building.build(model, config)


if __name__ == "__main__":
    tf.test.main()
