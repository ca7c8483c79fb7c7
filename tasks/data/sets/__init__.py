"""Named data sets, and how each is found, fetched or drawn."""
