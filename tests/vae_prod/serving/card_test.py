import attrs
import tensorflow as tf

from tests.vae_prod import tiny
from tests.vae_prod.serving import tiny_exports
from vae_prod import config as config_lib
from vae_prod.serving import card, description


def _card(evaluations, described=None, **changes) -> str:
    facts = card.Facts(
        tiny.config(**changes),
        config_lib.TrainConfig(),
        {"data set": "drawn", "images": "train 12"},
        weights="last",
        epochs=7,
        recompute_batch_norm=3,
        evaluations=evaluations,
    )
    return card.text(facts, described or description.load(tiny_exports.exported()))


class CardTest(tf.test.TestCase):
    def test_says_what_is_served_and_how_it_was_made(self):
        text = _card({})
        for part in (
            "# Model card: variational autoencoder, 8x8x3, z_dim 3",
            "| epochs | 7 |",
            "| weights | last |",
            "| images | train 12 |",
            "`edit_jpeg_png`",
            "`strength` float32 [B]",
            "Samplers: `prior`, `gaussian`.",
            "Attributes: `Smiling`, `Young`.",
            "None: the run was not evaluated",
        ):
            self.assertIn(part, text)

    def test_names_from_data_stay_names(self):
        hostile = "a`\n\n# b\x1b[2J|<script>"
        described = description.load(tiny_exports.exported())
        described = attrs.evolve(
            described, attributes=[hostile], made_by={hostile: hostile}
        )
        text = _card({}, described)
        self.assertIn("Attributes: `a'  # b?[2J|<script>`.", text)
        self.assertIn("| a` # b?[2J\\|&lt;script> |", text)
        self.assertNotIn("\n# b", text)

    def test_an_autoencoder_is_called_one(self):
        self.assertIn("# Model card: autoencoder,", _card({}, mode="ae"))


if __name__ == "__main__":
    tf.test.main()
