"""A class for every pixel, from feature maps: cells and their labels, classifiers of cells, and how they are judged.

A *tap* is one of the maps that a backbone gives. The *grid* is the finest tap's; a *cell* is one place of it.
"""
