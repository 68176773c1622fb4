"""Whole pages over HTTP: ``POST /v1/pages``.

``settings`` (the flags) → ``handler`` (a request's way) → ``work`` (what reads) → ``answers`` (the
JSON). What a request may say is ``jobs.serving.asked``.
"""
