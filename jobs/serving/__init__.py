"""Recognition over HTTP on Ray Serve; ``jobs/serve.py`` starts it.

A request's way: ``ingress`` (HAProxy or Serve's proxy) → ``edge`` (bounds the body) → ``app``
(routes) → ``bodies`` → ``asked`` (pictures and options) → ``service`` (the bundle in use) →
``answers``. ``contract`` checks by the types of ``crnn.wire`` and makes the OpenAPI of them.
``deployment`` is what Serve runs; it rolls bundles in. ``inference_v2`` speaks the Open Inference
Protocol, ``metrics`` counts, ``problems`` says what went wrong.
"""
