"""Settings classes of the files, and what is derived from their fields.

base                    base class of all settings, types of text
dataset, layout         the dataset file; one candidate or one event per entry
inputs                  features: transforms and fitted constants, input specification of a model
experiment              the experiment file: task, training, objective, search, tracking
networks                settings of each network
objective               names of metrics and costs
working_point_settings  working points
gate                    promotion gate
ranges, range_reader    search ranges, and their reading from a file
problems                validation, with pydantic's errors as problems with places
settings_schema         annotations of the settings classes by path
json_schema             JSON Schema for editors
network_catalogue       list of the networks and their settings
dotted_paths            nested settings as dotted paths
"""
