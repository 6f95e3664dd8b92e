"""Evaluation of a trained model: figures, the protocol they have, the verdict."""
