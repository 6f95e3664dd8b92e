"""The training run: devices, callbacks, weights, checkpoints, TensorBoard."""
