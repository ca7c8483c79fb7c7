"""The ways of asking, one file each; ``catalog`` names them."""
