"""Backbones, the sequence part, the network of both, and CTC."""
