"""Recognition over HTTP on Ray Serve; ``jobs/serve.py`` starts it.

A request's way: ``ingress`` (HAProxy or Serve's proxy) → ``edge`` (bounds the body) → ``app``
(routes) → ``bodies`` (pictures and options) → ``service`` (the bundle in use) → ``answers``.
``deployment`` is what Serve runs; it rolls bundles in. ``inference_v2`` speaks the Open Inference
Protocol, ``metrics`` counts, ``problems`` says what went wrong.
"""
