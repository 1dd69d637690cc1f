"""Names of the files in a trial's folder, for those who read it without Keras."""

MODEL, PREDICTIONS, RESULT, FIGURES = "best.keras", "predictions.npz", "result.json", "figures"
CHECKPOINTS = "checkpoints"
"""Folder of the states from which a training goes on."""
