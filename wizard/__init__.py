"""The engine of relay-wizard and its command line."""
