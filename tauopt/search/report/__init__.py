"""The report of a search: figures, their points, and one page with all of it."""
