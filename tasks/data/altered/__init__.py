"""Data sets made of others: corrupted, shifted, with images of other classes beside them."""
