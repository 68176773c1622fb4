"""Decoding in processes of their own, which a hostile picture may kill."""
