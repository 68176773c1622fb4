"""What ``jobs/train.py`` is made of: settings, the loop on each worker, the run around it."""
