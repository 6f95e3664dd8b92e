import tensorflow as tf

from tests.vae_prod.evaluation import evaluations


class ProtocolTest(tf.test.TestCase):
    def test_every_figure_has_a_protocol(self):
        evaluation = evaluations.evaluation()
        for name, figure in evaluation.figures.items():
            protocol = evaluation.protocols[figure["protocol"]]
            self.assertEqual(protocol["crop"], "square", name)
            self.assertEqual(protocol["num_images"], 8)
            self.assertEqual(protocol["images"], evaluations.measured().images_digest)
        protocols = evaluation.protocols
        self.assertNotIn("seed", protocols["images"])
        self.assertEqual(protocols["noise"]["seed"], 1)
        self.assertEqual(protocols["distances"]["distance_images"], 8)
        self.assertEqual(protocols["distances"]["normalised_by"], "real images")
        self.assertEqual(protocols["bound"]["importance_samples"], 3)
        self.assertEqual(protocols["features/means"]["extractor"], "e" * 64)
        self.assertEqual(protocols["features/means"]["feature_images"], 8)
        self.assertEqual(protocols["features/means"]["neighbours"]["coverage"], 5)


if __name__ == "__main__":
    tf.test.main()
