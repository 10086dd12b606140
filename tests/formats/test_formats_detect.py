"""Which family a model belongs to: names first, refusals before all, then the architecture."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfim.errors import ModelError
from batchfim.formats.catalog import CATALOG, OUTSIDERS
from batchfim.formats.detect import by_name, detect, family_format, model_names
from batchfim.formats.tokenizer import TextTokenizer, Vocabulary

UNDERSCORES = {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|endoftext|>"}
HYPHENS = {"<fim-prefix>", "<fim-suffix>", "<fim-middle>", "<|endoftext|>"}
BARS = {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|endoftext|>", "<|file_sep|>"}

FAMILIES = {
    "bigcode/santacoder": "santacoder",
    "bigcode/gpt_bigcode-santacoder": "santacoder",
    "bigcode/starcoder": "starcoder",
    "bigcode/starcoderbase-1b": "starcoder",
    "bigcode/starcoderplus": "starcoder",
    "bigcode/tiny_starcoder_py": "starcoder",
    "HuggingFaceH4/starchat-beta": "starcoder",
    "WizardLM/WizardCoder-15B-V1.0": "starcoder",
    "bigcode/starcoder2-3b": "starcoder2",
    "bigcode/starcoder2-15b-instruct-v0.1": "starcoder2",
    "Salesforce/codegen2-1B_P": "codegen2",
    "Salesforce/codegen2-3_7B_P": "codegen2",
    "Salesforce/codegen25-7b-multi_P": "codegen2",
    "codellama/CodeLlama-7b-hf": "codellama",
    "codellama/CodeLlama-13b-Instruct-hf": "codellama",
    "meta-llama/CodeLlama-13b-hf": "codellama",
    "deepseek-ai/deepseek-coder-6.7b-base": "deepseek-coder",
    "deepseek-ai/deepseek-coder-33b-instruct": "deepseek-coder",
    "WizardLMTeam/WizardCoder-33B-V1.1": "deepseek-coder",
    "deepseek-ai/DeepSeek-Coder-V2-Lite-Base": "deepseek-coder-v2",
    "deepseek-ai/DeepSeek-V2.5": "deepseek-coder-v2",
    "deepseek-ai/DeepSeek-V3": "deepseek-coder-v2",
    "facebook/incoder-1B": "incoder",
    "facebook/incoder-6B": "incoder",
    "Salesforce/codet5-base": "codet5",
    "Salesforce/codet5p-770m": "codet5",
    "microsoft/unixcoder-base": "unixcoder",
    "microsoft/codebert-base-mlm": "codebert",
    "microsoft/graphcodebert-base": "codebert",
    "uclanlp/plbart-base": "plbart",
    "stabilityai/stable-code-3b": "stable-code",
    "WisdomShell/CodeShell-7B": "codeshell",
    "THUDM/codegeex4-all-9b": "codegeex4",
    "Qwen/Qwen2.5-Coder-7B": "qwen2.5-coder",
    "Qwen/Qwen2.5-Coder-32B-Instruct": "qwen2.5-coder",
    "Qwen/CodeQwen1.5-7B": "codeqwen1.5",
    "Qwen/Qwen3-Coder-30B-A3B-Instruct": "qwen3-coder",
    "google/codegemma-2b": "codegemma",
    "google/codegemma-1.1-2b": "codegemma",
    "mistralai/Codestral-22B-v0.1": "codestral",
    "mistralai/Mistral-7B-Instruct-v0.3": "codestral",
    "ibm-granite/granite-3b-code-base-2k": "granite-code",
    "ibm-granite/granite-20b-code-base-8k": "granite-code",
    "ibm-granite/granite-3.3-8b-base": "granite-3.3",
    "ibm-granite/granite-4.0-h-tiny": "granite-4",
    "smallcloudai/Refact-1_6B-fim": "refact",
    "aiXcoder/aixcoder-7b-base": "aixcoder",
    "ByteDance-Seed/Seed-Coder-8B-Base": "seed-coder",
    "JetBrains/Mellum-4b-base": "mellum",
    "JetBrains/Mellum-4b-sft-python": "mellum",
    "JetBrains/mellum2-base": "mellum2",
    "Deci/DeciCoder-1b": "decicoder",
    "zai-org/GLM-4.5-Air": "glm-4.5",
    "tiiuae/Falcon-H1-Tiny-Coder-90M": "falcon-h1-tiny-coder",
    "CarperAI/FIM-NeoX-1.3B": "fim-neox",
    "pfnet/plamo-3-nict-8b-base": "plamo-3",
}
REFUSED = {
    "codellama/CodeLlama-34b-hf": "34B",
    "codellama/CodeLlama-70b-Instruct-hf": "70B",
    "codellama/CodeLlama-7b-Python-hf": "Python",
    "WizardLM/WizardCoder-Python-34B-V1.0": "Python",
    "WizardLM/WizardCoder-Python-7B-V1.0": "Python",
    "Phind/Phind-CodeLlama-34B-v2": "34B",
    "codefuse-ai/CodeFuse-CodeLlama-34B": "34B",
    "codefuse-ai/CodeFuse-13B": "documented",
    "codefuse-ai/CodeFuse-StarCoder-15B": "StarCoder",
    "Salesforce/codegen-350M-mono": "CodeGen1",
    "Salesforce/codegen-2B-multi": "CodeGen1",
    "Salesforce/codegen-16B-nl": "CodeGen1",
    "THUDM/codegeex2-6b": "CodeGeeX",
    "THUDM/codegeex": "CodeGeeX",
    "NinedayWang/PolyCoder-2.7B": "left to right",
    "codeparrot/codeparrot": "left to right",
    "microsoft/phi-1": "left to right",
    "microsoft/phi-1_5": "left to right",
    "microsoft/phi-2": "left to right",
    "replit/replit-code-v1-3b": "its makers",
    "meta-llama/Llama-3.1-8B": "plain Llama",
    "meta-llama/Meta-Llama-3-8B": "plain Llama",
    "meta-llama/Llama-2-7b-hf": "plain Llama",
    "Qwen/Qwen2.5-7B": "plain Qwen2.5",
    "Qwen/Qwen2.5-0.5B-Instruct": "plain Qwen2.5",
    "Qwen/Qwen3-8B": "plain Qwen3",
    "Qwen/Qwen3-30B-A3B": "plain Qwen3",
    "ibm-granite/granite-3.0-8b-base": "not trained",
    "ibm-granite/granite-3.1-2b-instruct": "not trained",
    "mistralai/Mamba-Codestral-7B-v0.1": "Mamba",
    "google/codegemma-7b-it": "chat only",
    "deepseek-ai/deepseek-coder-7b-base-v1.5": "v1 infills",
    "deepseek-ai/deepseek-coder-7b-instruct-v1.5": "v1 infills",
    "deepseek-ai/DeepSeek-Coder-V2-Base": "V2-Lite infills",
    "deepseek-ai/DeepSeek-Coder-V2-Instruct-0724": "V2-Lite infills",
    "google/codegemma-1.1-7b-it": "chat only",
    "openbmb/MiniCPM3-4B": "does not support",
    "stabilityai/stablecode-completion-alpha-3b-4k": "alpha",
    "Salesforce/codet5p-16b": "pairs",
    "ise-uiuc/Magicoder-S-DS-6.7B": "instruction",
    "mistralai/Mixtral-8x7B-v0.1": "general",
}
CLOSED = ["code-davinci-002", "DeepMind/AlphaCode", "Huawei/PanGu-Coder-2.6B", "PaLM-Coder-540B"]


@pytest.mark.parametrize(("model", "family"), FAMILIES.items())
def test_names_tell_the_family(model: str, family: str) -> None:
    verdict = by_name(model_names(model))
    assert verdict is not None
    assert verdict.family is CATALOG[family]


def test_every_family_has_a_name_in_the_table() -> None:
    assert set(FAMILIES.values()) == set(CATALOG)


@pytest.mark.parametrize(("model", "reason"), REFUSED.items())
def test_models_that_cannot_infill_are_refused_with_the_way_out(model: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        by_name(model_names(model))
    assert "set infill.order to prefix_only" in str(caught.value)


@pytest.mark.parametrize("model", CLOSED)
def test_closed_models_have_no_way_out(model: str) -> None:
    with pytest.raises(ModelError, match="closed; its weights") as caught:
        by_name(model_names(model))
    assert "prefix_only" not in str(caught.value)


def test_every_outsider_is_in_the_tables() -> None:
    names = [model_names(model) for model in [*REFUSED, *CLOSED]]
    for outsider in OUTSIDERS:
        made_of = outsider.title.startswith("CodeFuse-CodeLlama")  # CodeLlama's own entry is first
        assert made_of or any(outsider.match(name) for name in names), outsider.title


@pytest.mark.parametrize(
    "model", ["nobody/whatever", "01-ai/Yi-Coder-9B", "Qwen/Qwen3.5-9B", "gpt2"]
)
def test_other_names_say_nothing(model: str) -> None:
    assert by_name(model_names(model)) is None


@pytest.mark.parametrize(
    ("model", "warning"),
    [
        ("codellama/CodeLlama-7b-Instruct-hf", "sources conflict"),
        ("HuggingFaceH4/starchat-beta", "chat model"),
        ("zai-org/GLM-4.5", "order is assumed"),
        ("deepseek-ai/deepseek-coder-6.7b-instruct", "no infilling"),
        ("deepseek-ai/deepseek-coder-6.7b-base", None),
        ("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct", "Lite-Base alone"),
        ("deepseek-ai/DeepSeek-Coder-V2-Lite-Base", None),
        ("Qwen/Qwen2.5-Coder-32B-Instruct", "worse than the base"),
        ("Qwen/Qwen2.5-Coder-7B", None),
        ("Qwen/CodeQwen1.5-7B-Chat", "chat model"),
        ("codellama/CodeLlama-7b-hf", None),
    ],
)
def test_doubtful_variants_come_with_a_warning(model: str, warning: str | None) -> None:
    verdict = by_name(model_names(model))
    assert verdict is not None
    assert [warning in text for text in verdict.warnings if warning] == [True] * bool(warning)
    assert bool(verdict.warnings) is bool(warning)


@pytest.mark.parametrize(
    ("path", "config", "revision", "names"),
    [
        ("bigcode/StarCoder2-3b", {}, None, ("starcoder2-3b",)),
        (
            "/models/My-Tune/",
            {"_name_or_path": "bigcode/starcoder"},
            None,
            ("my-tune", "starcoder"),
        ),
        ("/c/models--Qwen--Qwen2.5-7B/snapshots/0a1b", {}, None, ("qwen2.5-7b",)),
        ("bigcode/santacoder", {}, "no-FIM", ("santacoder", "no-fim")),
        ("m", {"_name_or_path": "m"}, None, ("m",)),
    ],
)
def test_names_of_a_model(
    path: str, config: dict[str, str], revision: str | None, names: tuple[str, ...]
) -> None:
    assert model_names(path, config, revision) == names


def test_a_revision_may_be_refused() -> None:
    with pytest.raises(ModelError, match="left to right only"):
        by_name(model_names("bigcode/santacoder", revision="no-fim"))


def test_a_folder_of_another_name_is_refused_by_what_its_config_says() -> None:
    names = model_names("/models/mine", {"_name_or_path": "codellama/CodeLlama-7b-Python-hf"})
    with pytest.raises(ModelError, match="Python models"):
        detect(names, {"model_type": "llama"}, {"▁<PRE>"})


@pytest.mark.parametrize(
    ("model_type", "vocabulary", "family"),
    [
        ("gpt_bigcode", UNDERSCORES, "starcoder"),
        ("gpt_bigcode", HYPHENS, "santacoder"),
        ("gpt2", HYPHENS, "santacoder"),
        ("starcoder2", UNDERSCORES | {"<file_sep>"}, "starcoder2"),
        ("codeshell", UNDERSCORES, "codeshell"),
    ],
)
def test_architecture_and_sentinels_tell(
    model_type: str, vocabulary: set[str], family: str
) -> None:
    verdict = detect(("mine",), {"model_type": model_type}, vocabulary)
    assert verdict.family is CATALOG[family]
    assert verdict.witnesses == (f"model_type {model_type!r}", "sentinels")


def test_name_and_sentinels_tell() -> None:
    verdict = detect(("qwen2.5-coder-7b",), {"model_type": "qwen2"}, BARS)
    assert verdict.family is CATALOG["qwen2.5-coder"]
    assert verdict.witnesses == ("name 'qwen2.5-coder-7b'", "sentinels")


@pytest.mark.parametrize(
    ("config", "vocabulary"),
    [
        ({"model_type": "llama"}, UNDERSCORES | {"<file_sep>"}),  # sentinels prove nothing alone
        ({"model_type": "qwen2"}, BARS),  # every plain Qwen2.5 has them
        ({"model_type": "starcoder2"}, UNDERSCORES),  # nor does the architecture
        ({"model_type": "gpt2"}, UNDERSCORES),
        ({"model_type": "gpt_bigcode"}, {"<|endoftext|>"}),
        ({}, UNDERSCORES),
    ],
)
def test_a_plain_model_is_refused_with_the_families(
    config: dict[str, str], vocabulary: set[str]
) -> None:
    with pytest.raises(ModelError, match="starcoder2") as caught:
        detect(("mine",), config, vocabulary)
    assert str(config.get("model_type")) in str(caught.value)
    assert "infill.format" in str(caught.value)
    assert "'mine'" in str(caught.value)


def test_a_name_whose_tokenizer_lacks_the_sentinels_is_refused_by_naming_them() -> None:
    with pytest.raises(ModelError, match=r"indicates family codellama.* no '▁<MID>', '▁<SUF>';"):
        detect(("codellama-7b",), {}, {"<s>", "</s>", "▁<PRE>", "▁<EOT>"})


def test_a_model_that_fits_two_families_must_be_told() -> None:
    with pytest.raises(ModelError, match=r"santacoder, starcoder; set model\.family"):
        detect((), {"model_type": "gpt_bigcode"}, UNDERSCORES | HYPHENS)
    with pytest.raises(ModelError, match=r"starcoder2, .*codellama; set model\.family"):
        by_name(("starcoder2-meets-codellama",))


def test_an_unknown_family_lists_those_there_are() -> None:
    with pytest.raises(ModelError, match=r"'starcodr'.*santacoder, starcoder, starcoder2"):
        family_format("starcodr")


def test_a_known_family_is_the_catalogs() -> None:
    assert family_format("santacoder") is CATALOG["santacoder"]


def test_the_real_vocabulary_of_starcoder2(starcoder2: TextTokenizer) -> None:
    verdict = detect((), {"model_type": "starcoder2"}, starcoder2)
    assert verdict.family is CATALOG["starcoder2"]


def test_the_real_vocabulary_of_codellama_needs_the_name(codellama_path: Path) -> None:
    vocabulary = Vocabulary(codellama_path.read_text(encoding="utf8"))
    with pytest.raises(ModelError, match="'llama'"):  # the 34B model has the same vocabulary
        detect((), {"model_type": "llama"}, vocabulary)
    assert detect(("codellama-7b-hf",), {}, vocabulary).family is CATALOG["codellama"]


def test_what_is_no_tokenizer_is_said_to_be_none() -> None:
    for read in (TextTokenizer, Vocabulary):
        with pytest.raises(ModelError, match=r"tokenizer\.json is not a tokenizer"):
            read('{"model": 1}')
