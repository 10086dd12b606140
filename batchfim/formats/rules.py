"""The names of the stop and trim rules, apart from the rules, which need grammars."""

from typing import Literal

StopRule = Literal["eot", "line", "block", "suffix_start"]
TrimRule = Literal["suffix_overlap", "line", "syntax"]
