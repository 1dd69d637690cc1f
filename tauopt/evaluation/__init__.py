"""Arrays -> metrics and figures; knows neither files of ntuples nor networks.

The numbers are here; figures and what is made of several of them have rooms of their own::

    working_points   cuts on the score: derived, applied, their closure
    performance      figures of how well a network tells classes apart
    search           figures of a search: its trials, hyperparameters, workers
    data             figures of a prepared dataset
    drawing          how all figures look, and how they are saved
"""
