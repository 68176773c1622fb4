"""Drift: the results of two bulk jobs laid beside each other, from their rows alone.

``flow`` reads both sides once: ``side`` counts each, ``buckets`` puts its rows on local disk by
picture, and ``changes`` matches the pictures of one bucket at a time. ``result`` sums up, ``page``
shows it. No picture is read, and memory doesn't grow with the rows.
"""
