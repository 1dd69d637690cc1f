"""Figures of a prepared dataset.

::

    dataset_figures    all of them, one after another
    feature_figures    features, spectra, multiplicities, correlations by class
    validation_figure  p-values of the chunks against their split
"""
