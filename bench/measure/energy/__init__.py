"""What a measurement costs in joules: sensors, what they say over time, and what of it falls into a series' window."""
