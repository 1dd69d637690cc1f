"""Networks: an input spec and hyperparameters become a Keras model with its preprocessing inside.

A model takes physical quantities in their units, (candidate, object, variable) with an explicit
mask, and gives class probabilities. Nothing beside the saved model is needed to use it.
"""
