"""What turns gradients into weights: Adam, learning rate, guard against bad steps."""
