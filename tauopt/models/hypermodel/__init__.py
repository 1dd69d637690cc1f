"""Models of the user's own: KerasTuner HyperModels, run unmodified on our data."""
