"""The trial: every endpoint from the tables of a run and from clinical tables; never an image."""
