"""Boards: a kit is packed here, run on a board that has neither PyTorch nor a network, and its results come home.

Here: targets, wheels, pack, merge, over_ssh. On the board: start (Python's own library alone), onboard, errand. Both:
kit and results, which are values; ready, the pixels that a kit holds.
"""
