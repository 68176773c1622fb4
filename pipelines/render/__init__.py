"""Rendered words and lines: texts, fonts, pictures, whole sets of shards, previews.

What is written: ``texts`` (codes), ``words`` and ``english``. In what: ``faces`` (what one face can
write), ``fonts`` (which there are, which are held out), ``glyphs``. How it looks: ``style`` names
every amount; ``draw`` goes from ``page`` over ``geometry``, ``tones``, ``letters`` and ``paper`` to
``camera``; ``fields`` and ``photos`` are what these cut pieces from. ``config`` says what a set
holds, ``synth`` renders it on Ray, ``preview`` and ``sheets`` show it.
"""
