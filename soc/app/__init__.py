"""The program `soc`: configuration, workers and commands over the rooms below."""
