"""`_batchfim/report.html`, the tables beside it, and runs side by side."""
