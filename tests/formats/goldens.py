"""One row a family and order: the exact prompt for one record, as the makers' formats write it.

The strings are those of the formats' sources, not made by the code under test. The space that
SentencePiece puts before a text is not shown; `test_formats_every_family` checks it on the ids.
"""

from __future__ import annotations

from batchfim.surroundings import ContextFile, Surroundings

P = "def add(a, b):\n    return "
S = "\n\nprint(add(1, 2))\n"
AROUND = Surroundings(
    path="main.py", repo="demo", language="Python", context=(ContextFile("util.py", "X = 1\n"),)
)
MASKS = 3

_PSM = f"<fim_prefix>{P}<fim_suffix>{S}<fim_middle>"
_SPM_V2 = f"<fim_prefix><fim_suffix>{S}<fim_middle>{P}"
_BARS = f"<|fim_prefix|>{P}<|fim_suffix|>{S}<|fim_middle|>"
_DEEPSEEK = f"<｜begin▁of▁sentence｜><｜fim▁begin｜>{P}<｜fim▁hole｜>{S}<｜fim▁end｜>"
_MELLUM = f"<fim_suffix>{S}<fim_prefix>{P}<fim_middle>"
_MELLUM_FILES = f"<filename>util.py\nX = 1\n<filename>main.py\n{_MELLUM}"
_QWEN_REPO = f"<|repo_name|>demo\n<|file_sep|>util.py\nX = 1\n\n<|file_sep|>main.py\n{_BARS}"
_CODEGEEX = f"<|code_suffix|>{S}<|code_prefix|>{P}<|code_middle|><|assistant|>\n"

GOLDENS: dict[tuple[str, str], str] = {
    ("santacoder", "psm"): f"<fim-prefix>{P}<fim-suffix>{S}<fim-middle>",
    ("santacoder", "spm_v2"): f"<fim-prefix><fim-suffix>{S}<fim-middle>{P}",
    ("starcoder", "psm"): _PSM,
    ("starcoder", "spm_v2"): _SPM_V2,
    ("starcoder2", "psm"): _PSM,
    ("starcoder2", "spm_v2"): _SPM_V2,
    ("starcoder2", "repo_psm"): (
        f"<repo_name>demo<file_sep>util.py\nX = 1\n<file_sep><fim_prefix>main.py\n{P}"
        f"<fim_suffix>{S}<fim_middle>"
    ),
    ("granite-code", "psm"): _PSM,
    ("granite-3.3", "psm"): _PSM,
    ("granite-4", "psm"): _BARS,
    ("codeshell", "psm"): _PSM,
    ("stable-code", "psm"): _PSM,
    ("decicoder", "psm"): _PSM,
    ("codeqwen1.5", "psm"): _PSM,
    ("codeqwen1.5", "repo_psm"): (
        f"<repo_name>demo\n<file_sep>util.py\nX = 1\n\n<file_sep>main.py\n{_PSM}"
    ),
    ("refact", "spm"): f"<|endoftext|>{_MELLUM}",
    ("refact", "psm"): _PSM,
    ("mellum", "spm"): _MELLUM,
    ("mellum", "files_spm"): _MELLUM_FILES,
    ("mellum2", "spm"): _MELLUM,
    ("mellum2", "files_spm"): _MELLUM_FILES,
    ("codegen2", "mask"): f"{P}<mask_1>{S}<|endoftext|><sep><mask_1>",
    ("incoder", "mask"): f"<|endoftext|>{P}<|mask:0|>{S}<|mask:1|><|mask:0|>",
    ("incoder", "mask_plain"): f"<|endoftext|>{P}<|mask:0|>{S}<|mask:0|>",
    ("codellama", "psm"): f"<s>▁<PRE>{P}▁<SUF>{S}▁<MID>",
    ("codellama", "spm_v2"): f"<s>▁<PRE>▁<SUF>{S}▁<MID>{P}",
    ("deepseek-coder", "psm"): _DEEPSEEK,
    ("deepseek-coder", "repo_psm"): (
        "<｜begin▁of▁sentence｜>#util.py\nX = 1\n\n<｜fim▁begin｜>#main.py\n"
        f"{P}<｜fim▁hole｜>{S}<｜fim▁end｜>"
    ),
    ("deepseek-coder-v2", "psm"): _DEEPSEEK,
    ("qwen2.5-coder", "psm"): _BARS,
    ("qwen2.5-coder", "repo_psm"): _QWEN_REPO,
    ("qwen3-coder", "psm"): _BARS,
    ("qwen3-coder", "repo_psm"): _QWEN_REPO,
    ("codegemma", "psm"): f"<bos>{_BARS}",
    ("codestral", "sp"): f"<s>[SUFFIX]{S}[PREFIX]{P}",
    ("codestral", "files_sp"): (
        f"<s>[SUFFIX]{S}[PREFIX]+++++ util.py\nX = 1\n\n+++++ main.py\n{P}"
    ),
    ("aixcoder", "spm_v2"): f"<s>▁<AIX-SPAN-PRE>▁<AIX-SPAN-POST>{S}▁<AIX-SPAN-MIDDLE>{P}",
    ("aixcoder", "spm_v2_path"): (
        f"<s>▁<AIX-SPAN-PRE>▁<AIX-SPAN-POST>{S}▁<AIX-SPAN-MIDDLE># the file path is: main.py\n"
        f"# the code file is written by Python\n{P}"
    ),
    ("aixcoder", "psm"): f"<s>▁<AIX-SPAN-PRE>{P}▁<AIX-SPAN-POST>{S}▁<AIX-SPAN-MIDDLE>",
    ("seed-coder", "spm"): f"<[fim-suffix]>{S}<[fim-prefix]>{P}<[fim-middle]>",
    ("codegeex4", "block"): (
        f"<|user|>\n###PATH:main.py\n###LANGUAGE:Python\n###MODE:BLOCK\n{_CODEGEEX}"
    ),
    ("codegeex4", "line"): (
        f"<|user|>\n###PATH:main.py\n###LANGUAGE:Python\n###MODE:LINE\n{_CODEGEEX}"
    ),
    ("codegeex4", "files_block"): (
        "<|user|>\n###REFERENCE:\n###PATH:util.py\nX = 1\n\n###PATH:main.py\n###LANGUAGE:Python\n"
        f"###MODE:BLOCK\n{_CODEGEEX}"
    ),
    ("glm-4.5", "psm"): f"<|code_prefix|>{P}<|code_suffix|>{S}<|code_middle|>",
    ("falcon-h1-tiny-coder", "psm"): f"<|prefix|>{P}<|suffix|>{S}<|middle|>",
    ("plamo-3", "psm"): (f"<|plamo:fim_prefix|>{P}<|plamo:fim_suffix|>{S}<|plamo:fim_middle|>"),
    ("fim-neox", "spm"): f"<|SUF|>{S}<|PRE|>{P}<|MID|>",
    ("codet5", "span"): f"<s>{P}<extra_id_0>{S}</s>",
    ("unixcoder", "span"): f"<s><encoder-decoder></s>{P}<mask0>{S}</s>",
    ("codebert", "masks"): f"<s>{P}{'<mask>' * MASKS}{S}</s>",
    ("plbart", "python"): f"{P}<mask>{S}</s>__python__",
    ("plbart", "java"): f"{P}<mask>{S}</s>__java__",
}
