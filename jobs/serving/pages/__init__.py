"""Whole pages over HTTP: ``POST /v1/pages``, and ``picture`` for who wants to see one.

``settings`` (the flags) → ``handler`` (a request's way) → ``work`` (what reads) → ``answers`` (the
JSON). What a request may say is ``jobs.serving.asked``.
"""
