"""The benchmark tests itself: known traps are injected into it, and each has to be refused, flagged, or without effect."""
