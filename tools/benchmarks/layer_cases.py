"""Each convolution and dense layer alone: its three passes beside a matrix product.

A layer's own ceiling is the faster one of two products of matrices of its dimensions,
which take as many multiplications as each of its passes: all that a kernel covers at
each position by the outputs, as a convolution has it, and the inputs at each position
by all that a kernel covers, as its transpose has it.
"""

import time
from collections.abc import Callable, Sequence

import attrs
import keras
import tensorflow as tf

from tools.benchmarks import step_flops
from vae_prod import config as config_lib
from vae_prod.model import vae as vae_lib

_SEED = (1, 2)


@attrs.frozen
class LayerFigures:
    """Seconds that the passes of a layer take for a batch.

    Attributes:
        name: Of the layer.
        flops: Operations of each pass, by the textbook.
        forward: From its maps to the next layer's.
        by_input: The gradient by its input; None: the step has no need of it.
        by_weights: The gradient by its kernel.
        product: The product of matrices that is its own ceiling.
    """

    name: str
    flops: int
    forward: float
    by_input: float | None
    by_weights: float
    product: float

    @property
    def part_of_ceiling(self) -> float:
        """Time of as many products, over that of the passes."""
        passes = [p for p in (self.forward, self.by_input, self.by_weights) if p]
        return len(passes) * self.product / sum(passes)


def measure(
    config: config_lib.ModelConfig, precision: str, batch_size: int, repetitions: int
) -> list[LayerFigures]:
    """Measure all layers of a model, from the image to its logits.

    Args:
        config: The model, of plain blocks.
        precision: Of its maps.
        batch_size: Images in a batch.
        repetitions: How often each pass is taken; the least time counts.
    """
    model = vae_lib.VAE(config, dtype=config_lib.PRECISIONS[precision].policy)
    layers = [
        layer
        for network in (model.encoder, model.decoder)
        for layer in network.layers
        if hasattr(layer, "kernel")
    ]
    counted = step_flops.layers(config)
    return [
        _measure(layer, count, batch_size, repetitions, first=number == 0)
        for number, (layer, count) in enumerate(zip(layers, counted, strict=True))
    ]


def _measure(
    layer: keras.Layer,
    count: step_flops.Layer,
    batch_size: int,
    repetitions: int,
    first: bool,
) -> LayerFigures:
    def random(shape: Sequence[int]) -> tf.Tensor:
        return tf.cast(tf.random.stateless_normal(shape, _SEED), layer.compute_dtype)

    def maps(inputs: tf.Tensor) -> tf.Tensor:
        outputs = layer(inputs)
        return outputs[0] if isinstance(outputs, tuple) else outputs

    inputs = random((batch_size, *layer.input.shape[1:]))
    upstream = random(maps(inputs).shape)
    kernel = layer.kernel.value

    def gradient(by: Callable[[tf.Tensor], tf.Tensor]):
        def call(inputs, upstream):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(by(inputs))
                outputs = maps(inputs)
            return tape.gradient(outputs, by(inputs), upstream)

        return _seconds(call, (inputs, upstream), repetitions)

    rows = batch_size * count.positions
    kernel_area, depth, columns = count.kernel_area, count.inputs, count.outputs
    products = {(kernel_area * depth, columns), (depth, kernel_area * columns)}
    return LayerFigures(
        layer.name,
        batch_size * count.flops,
        _seconds(maps, (inputs,), repetitions),
        None if first else gradient(lambda inputs: inputs),
        gradient(lambda _: kernel),
        min(
            _seconds(
                tf.matmul, (random((rows, inner)), random((inner, outer))), repetitions
            )
            for inner, outer in products
        ),
    )


def _seconds(
    function: Callable, arguments: Sequence[tf.Tensor], repetitions: int
) -> float:
    """Return the least time of some calls, compiled as a graph."""
    compiled = tf.function(lambda *tensors: function(*tensors), autograph=False)

    def call() -> float:
        begun = time.perf_counter()
        result = compiled(*arguments)
        float(tf.reshape(result, [-1])[0])  # Waits for it.
        return time.perf_counter() - begun

    call()  # Traced and warmed up.
    return min(call() for _ in range(repetitions))
