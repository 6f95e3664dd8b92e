"""What `tools.tune` is made of."""
