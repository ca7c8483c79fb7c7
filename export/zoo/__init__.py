"""Which backbone: the zoo's rows, their weights, and the eager module that they make."""
