"""Write `_batchfim/report.html` and the table beside it, and compare jobs side by side."""
