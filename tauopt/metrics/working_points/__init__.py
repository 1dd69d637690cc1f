"""Working points: cuts on the score with a given signal efficiency or background rejection.

::

    working_point_set  all working points of a model, and the file that keeps them
    working_point      one working point; which candidates pass several
    point_derivation   derive working points one after another
    cut_derivation     derive the cuts of one score: weighted quantiles in cells
    cut_maps           cuts as functions of pT, pile-up ...; the flattened score
    closure            measure working points on an independent sample
"""
