"""The run: devices, callbacks, checkpoints, TensorBoard."""
