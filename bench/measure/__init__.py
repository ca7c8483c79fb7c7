"""What a cell costs: one clock, scenarios, and the child process that runs them."""
