"""Picture → pixels in their bucket: the contract, fast ways, regions, sandboxed decoding."""
