"""The search for settings: KerasTuner's oracles, made to outlive any kill."""
