"""The benchmark tests itself: known traps are injected, and each has to be refused, flagged, or without effect."""
