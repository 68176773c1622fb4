"""Pictures in, results out: the recognizer, second readings, cascades of two bundles."""
