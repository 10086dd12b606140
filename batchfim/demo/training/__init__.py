"""Train the demo model from scratch on the standard library, on two CPU cores.

Run it as `python -m batchfim.demo.training`. The model is a stand-in: it has StarCoder2's
architecture and sentinels, so that every part of the product runs for real without a download,
and it has learned to end a middle by itself. It is not a good coder.
"""
