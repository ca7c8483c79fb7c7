"""Ways of preprocessing compared: ``python -m bench.lab``."""
