"""Rendered training pictures: fonts found here, texts drawn by kind, pictures, whole shard sets.

``fonts`` and ``texts`` choose, ``draw`` makes one picture, ``synth`` makes a set of shards.
"""
