"""Arrays -> metrics and figures; knows neither files of ntuples nor networks."""
