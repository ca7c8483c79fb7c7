"""The check of a GPU: five steps, the most telling first, each in a process of its own that ends in time."""
