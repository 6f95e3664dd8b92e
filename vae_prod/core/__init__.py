"""What every room of the model side stands on: errors, artefacts on disk."""
