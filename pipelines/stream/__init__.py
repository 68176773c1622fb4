"""The training stream: shards → chunks in a seeded order → ready batches, one row each.

``plan`` decides which row groups make which chunk of which epoch, ``assemble`` turns one
chunk into ready batches, ``cursor`` remembers which of them were trained on, and ``flow``
runs it all on Ray Data and splits it over the ranks.
"""
