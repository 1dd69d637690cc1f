"""The report of a search: gathered from disk, drawn, and written as one HTML page.

search_record               - gathers the trials, the leaderboard, the provenance of a search
sessions                    - when drivers ran and trials trained, from their records
compute_cost                - core-hours, GPU-hours and candidate-passes: used, lost, spared
figure_inputs               - from the search record to the arguments of the figure functions
hyperparameter_importances  - PED-ANOVA importances with bootstrap errors
report_figures              - the figures of the report, each with a caption; Pareto fronts
range_edges                 - ranges that the best trials hit at an end
report_page                 - fills report.html.j2, the template of the page
write_report                - writes figures, their points and the page into a folder
"""
