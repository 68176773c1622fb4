"""Recognizers that others made → bundles of kind ``imported``.

``graph`` looks at an ONNX file and runs it, ``classes`` finds what its classes mean, ``rewrite``
makes of it the graph that the engines run, ``proof`` compares the two, ``packages`` knows some
packages that carry recognizers. ``jobs/import_model.py`` puts them together.
"""
