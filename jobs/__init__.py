"""Entry scripts; the only place of ray.train and ray.serve."""
