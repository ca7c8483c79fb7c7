"""A sweep over many machines, on Ray: its work as values, dealt to nodes that run the plain pipeline's own stages.

``pieces`` says what there is to do, ``nodes`` which machines there are, ``deal`` who does what; ``work`` runs there;
``drive`` takes in what came of it and writes the records, and is the only one that does. Begin with ``start``.
"""
