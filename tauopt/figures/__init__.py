"""Arrays -> Matplotlib figures, each with its points as JSON; saving is the caller's.

::

    figure_style     HEP style, colours that differ in grey, sample label, axes
    panels           figures of two panels: ratios below, or side by side; legends
    label_placement  names beside points, clear of lines and legend
    save_figure      PNG (and PDF) with the points as JSON; many figures as one PDF
    dataset          figures of a prepared dataset
    performance      figures of how well networks separate classes
    search           figures of a search: its trials, hyperparameters, workers
"""
