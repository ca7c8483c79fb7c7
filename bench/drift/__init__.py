"""What an update of an engine's library changes: the same cells under two versions, each in its own environment."""
