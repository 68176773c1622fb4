"""Ray Data and storage: sources in, shards and ready batches out. Imports crnn, never jobs."""
