"""A race: many backbones start, growing rungs of test images eliminate, and what is left is measured whole."""
