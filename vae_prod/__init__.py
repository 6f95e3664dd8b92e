"""The model: variational autoencoders, their training, sampling and export."""
