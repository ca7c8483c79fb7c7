"""Runs cells, measures their cost, keeps records, and gives the verdict."""
