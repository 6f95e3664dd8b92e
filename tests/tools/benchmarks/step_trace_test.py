import tensorflow as tf
from absl.testing import parameterized
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from tests.vae_prod import tiny
from tools.benchmarks import step_figures, step_report, step_trace, stock_vae
from vae_prod import config as config_lib
from vae_prod.training import building

_BUILDERS = {"stock": stock_vae.build, "ours": building.build}


def _traced(build, jit="false", batches=None):
    """Trace two steps of a tiny model; return (group, type) to milliseconds."""
    model = build(tiny.config(), config_lib.TrainConfig(jit_compile=jit))
    model.make_train_function()
    iterator = iter(tiny.batches(1).repeat() if batches is None else batches)

    def step():
        float(model.train_function(iterator)["total_loss"])

    step()
    found = step_trace.trace(step, 2)
    return {(one.group, one.type): one.milliseconds for one in found}


def _add_event(plane, line, name, nanoseconds, display_name="", **stats):
    number = len(plane.event_metadata) + 1
    plane.event_metadata[number].name = name
    plane.event_metadata[number].display_name = display_name
    event = line.events.add(metadata_id=number, duration_ps=nanoseconds * 1000)
    for key, value in stats.items():
        number = len(plane.stat_metadata) + 1
        plane.stat_metadata[number].name = key
        event.stats.add(metadata_id=number, str_value=value)


class GroupTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        ("encoder_1/down1_conv_1/Conv2D", "Conv2D", "convolutions"),
        ("encoder_1/down1_conv_1/Cast", "Cast", "convolutions"),
        ("gradient_tape/decoder_1/up1_conv_1/BiasAdd/x", "BiasAddGrad", "convolutions"),
        ("decoder_1/up1_upsampling_1/Repeat_1/Sum", "Sum", "convolutions"),
        ("decoder_1/up1_norm_1/batchnorm/mul", "Mul", "normalisation"),
        ("FusedBatchNormGradV3_1", "FusedBatchNormGradV3", "normalisation"),
        ("decoder_1/up1_activation_1/LeakyRelu", "LeakyRelu", "activation"),
        ("LeakyReluGrad_1", "LeakyReluGrad", "activation"),
        ("a_inference__leaky_relu_2__.1/SelectV2", "SelectV2", "activation"),
        ("a_inference__partial_sums_2__.1/Sum", "Sum", "loss"),
        ("a_inference_step_2__.1/decoder_1/up1_norm_1/Sum", "Sum", "normalisation"),
        ("gradient_tape/encoder_1/z_mean_1/MatMul/MatMul", "MatMul", "dense"),
        ("decoder_1/dense_1/BiasAdd", "FusedMatMul", "dense"),
        ("adam/Sub_3", "Sub", "optimizer"),
        ("loss_scale_optimizer/cond/Mul", "Mul", "optimizer"),
        ("ResourceApplyAdam_2", "ResourceApplyAdam", "optimizer"),
        ("logistic_loss/Log1p", "Log1p", "loss"),
        ("Softplus", "Softplus", "loss"),
        ("Neg/unary_ops_composition", "UnaryOpsComposition", "loss"),
        ("gradient_tape/Sum", "Sum", "loss"),
        ("something/else", "Mul", "other"),
    )
    def test_rules(self, name, kind, group):
        self.assertEqual(step_trace.group_of(name, kind), group)
        scoped = f"StatefulPartitionedCall/{name}"
        self.assertEqual(step_trace.group_of(scoped, kind), group)

    def test_report_has_a_column_for_each(self):
        self.assertSameElements(step_trace.GROUPS, step_report.GROUPS)


class TraceTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(*_BUILDERS)
    def test_finds_what_a_step_does(self, model):
        found = _traced(_BUILDERS[model])
        groups = {group for group, _ in found}
        self.assertContainsSubset(
            {"convolutions", "normalisation", "dense", "loss", "optimizer", "waiting"},
            groups,
        )
        self.assertContainsSubset(groups, step_trace.GROUPS)
        self.assertNotIn("compiled", groups)
        # Under one name, whichever library computes it.
        self.assertIn(("convolutions", "Conv2D"), found)
        self.assertIn(("dense", "MatMul"), found)
        self.assertGreater(min(found.values()), 0.0)
        self.assertEqual(list(found.values()), sorted(found.values(), reverse=True))
        known = sum(time for (group, _), time in found.items() if group != "other")
        self.assertGreater(known, 0.9 * sum(found.values()))

    def test_compiled_steps_tell_what_they_were_made_of(self):
        found = _traced(building.build, jit="true")
        groups = {group for group, _ in found}
        self.assertContainsSubset(
            {"convolutions", "normalisation", "dense", "optimizer"}, groups
        )

    def test_reading_is_input(self):
        batches = (
            tiny.batches(1)
            .repeat()
            .map(lambda batch: {"image": tf.reverse(batch["image"], [1])})
        )
        found = _traced(stock_vae.build, batches=batches)
        self.assertIn(("input", "ReverseV2"), found)


class OperationsTest(tf.test.TestCase):
    def test_host(self):
        space = xplane_pb2.XSpace()
        plane = space.planes.add(name="/host:CPU")
        line = plane.lines.add(name="tf_Compute/1")
        call = "StatefulPartitionedCall"
        _add_event(plane, line, f"{call}:{call}", 9000, call)  # Holds the others.
        name = f"{call}/encoder_1/down1_conv_1/BiasAdd"
        _add_event(
            plane, line, f"{name}:_MklNativeFusedConv2D", 6000, "_MklNativeFusedConv2D"
        )
        _add_event(plane, line, f"{name}:Conv2D", 2000, "Conv2D")
        _add_event(plane, line, "ExecutorState::Process", 9000)
        _add_event(plane, line, "IteratorGetNextOp::DoCompute", 1000)
        found = step_trace.operations(space, steps=2)
        expected = [
            step_figures.Operation("convolutions", "Conv2D", 0.004),
            step_figures.Operation("waiting", "IteratorGetNext", 0.0005),
        ]
        self.assertEqual(found, expected)

    def test_of_a_gpu_its_streams_count(self):
        space = xplane_pb2.XSpace()
        host = space.planes.add(name="/host:CPU")
        line = host.lines.add(name="tf_Compute/1")
        _add_event(host, line, "a/x_conv_1/Conv2D:Conv2D", 5000, "Conv2D")
        _add_event(host, line, "IteratorGetNextOp::DoCompute", 3000)
        device = space.planes.add(name="/device:GPU:0")
        stream = device.lines.add(name="Stream #1")
        _add_event(
            device, stream, "gemm", 8000, tf_op="decoder_1/dense_1/MatMul:MatMul"
        )
        _add_event(device, stream, "loop", 2000, hlo_op="fusion.1", hlo_module="m")
        derived = device.lines.add(name="TensorFlow Ops")
        _add_event(device, derived, "MatMul", 8000, tf_op="x/MatMul:MatMul")
        found = {
            (one.group, one.type): one.milliseconds
            for one in step_trace.operations(space, steps=1)
        }
        expected = {
            ("dense", "MatMul"): 0.008,
            ("waiting", "IteratorGetNext"): 0.003,
            ("compiled", "fusion"): 0.002,
        }
        self.assertEqual(found, expected)


if __name__ == "__main__":
    tf.test.main()
