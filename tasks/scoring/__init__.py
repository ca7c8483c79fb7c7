"""What the tasks share: arrays in, numbers with their errors out."""
