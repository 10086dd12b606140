"""batchfim: complete the middle of code, in bulk."""
