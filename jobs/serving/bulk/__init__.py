"""Bulk recognition started over HTTP: ``jobs/recognize.py`` as a Ray job, with the bundle in use.

``router`` (the paths, ``documents`` in them) → ``work`` (start, look, cancel, take up again) →
``addresses`` (what a request may name), ``records`` (a folder for each job), ``cluster`` (Ray's
table of jobs). Nothing is kept in the process: any replica answers for any job, and so does the
next service.
"""
