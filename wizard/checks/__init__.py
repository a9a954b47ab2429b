"""Reusable questions to the world and to the machine, each bounded in time."""
