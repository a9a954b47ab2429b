"""The wizard's screens: Textual lives here and nowhere else."""
