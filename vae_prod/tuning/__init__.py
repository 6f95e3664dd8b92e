"""Hyperparameter search: KerasTuner's oracles, made to outlive any kill."""
