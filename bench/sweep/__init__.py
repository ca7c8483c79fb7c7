"""From what was asked to records."""
