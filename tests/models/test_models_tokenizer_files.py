"""Tokenizers that do not come as a tokenizer.json."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import pre_tokenizers

from batchfim.errors import ModelError
from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder
from batchfim.formats.tokenizer import TextTokenizer
from batchfim.models.tokenizer_files import read_tokenizer
from tests.formats.shown import shown_prompt

mistral_common = pytest.importorskip("mistral_common", reason="Mistral's vocabularies are its data")
DATA = Path(mistral_common.__file__).parent / "data"
SENTENCEPIECE = DATA / "mistral_instruct_tokenizer_240323.model.v3"
TEKKEN = DATA / "tekken_240911.json"
TEXTS = ["def f(a):\n    return a", " x", "", "名前 é\r\n\t", "[SUFFIX]</s><s>", "1 + 12345", "  "]

# A tokenizer in Python around a tiktoken encoding, as CodeGen2.5 and CodeGeeX4 ship.
REMOTE_CODE = r"""
import tiktoken
from transformers import PreTrainedTokenizer

class ToyTokenizer(PreTrainedTokenizer):
    def __init__(self, **kwargs):
        ranks = {bytes([byte]): byte for byte in range(256)} | {b"re": 256, b"ret": 257}
        self.encoder = tiktoken.Encoding(
            "toy",
            pat_str=r"\s+|\S+",
            mergeable_ranks=ranks,
            special_tokens={"<eom>": 258, "<sop>": 259},
        )
        super().__init__(**kwargs)

    @property
    def vocab_size(self):
        return self.encoder.n_vocab

    def get_vocab(self):
        return {str(i): i for i in range(self.vocab_size)}

    def _tokenize(self, text):
        return [str(i) for i in self.encoder.encode_ordinary(text)]

    def _convert_token_to_id(self, token):
        return int(token)

    def _convert_id_to_token(self, index):
        return str(index)

    def build_inputs_with_special_tokens(self, first, second=None):
        return [259, *first]
"""


def test_mistrals_sentencepiece_model(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    shutil.copy(SENTENCEPIECE, tmp_path / "tokenizer.model.v3")
    tokenizer = TextTokenizer(read_tokenizer(tmp_path), CATALOG["codestral"].control_texts())
    processor = sentencepiece.SentencePieceProcessor(str(SENTENCEPIECE))
    assert tokenizer.vocab_size == len(processor)
    assert tokenizer.adds_space
    assert tokenizer.encode(TEXTS, leading_space=True) == processor.encode(TEXTS)
    assert [tokenizer.token_id(text) for text in ("<s>", "[PREFIX]", "[SUFFIX]")] == [1, 11, 13]


def test_mistrals_tekken(tmp_path: Path) -> None:
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    shutil.copy(TEKKEN, tmp_path / "tekken.json")
    tokenizer = TextTokenizer(read_tokenizer(tmp_path), CATALOG["codestral"].control_texts())
    own = Tekkenizer.from_file(str(TEKKEN))
    assert tokenizer.encode(TEXTS) == [own.encode(text, bos=False, eos=False) for text in TEXTS]
    assert tokenizer.token_id("[PREFIX]") == own.get_special_token("[PREFIX]")
    assert not tokenizer.adds_space


def test_a_folder_with_mistrals_files_alone_is_a_model(tmp_path: Path) -> None:
    folder = tmp_path / "Codestral-22B-v0.1"
    folder.mkdir()
    shutil.copy(SENTENCEPIECE, folder / "tokenizer.model.v3")
    (folder / "config.json").write_text(json.dumps({"model_type": "mistral"}))
    shown = shown_prompt(str(folder), "def f(", "return a + b")
    assert shown["family"] == "codestral"
    # What mistral-common's own test of encode_fim expects, and its vocabulary's ids.
    assert shown["token_ids"] == [1, 13, 1575, 1032, 1416, 1055, 11, 1569, 1053, 29500]


def roberta(folder: Path) -> Path:
    """`vocab.json` and `merges.txt`, as CodeT5, UniXcoder and CodeBERT ship."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *alphabet, "re", "ret", "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\nr e\nre t\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "RobertaTokenizer"}')
    (folder / "config.json").write_text('{"model_type": "roberta"}')
    return folder


def test_vocabulary_and_merges(tmp_path: Path) -> None:
    tokenizer = TextTokenizer(
        read_tokenizer(roberta(tmp_path)), CATALOG["codebert"].control_texts()
    )
    encoder = Encoder(CATALOG["codebert"], None, tokenizer, masks=2)
    pieces = encoder.pieces("return <mask>", " x")
    assert [piece.text for piece in pieces] == [
        "<s>",
        "return <mask>",
        "<mask>",
        "<mask>",
        " x",
        "</s>",
    ]
    assert tokenizer.decode(pieces[1].token_ids) == "return <mask>"
    assert tokenizer.token_id("ret") == pieces[1].token_ids[0]
    assert tokenizer.own_prefix() == ("<s>",)


def python_tokenizer(folder: Path) -> Path:
    (folder / "tokenization_toy.py").write_text(REMOTE_CODE)
    settings = {"auto_map": {"AutoTokenizer": ["tokenization_toy.ToyTokenizer", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text("{}")
    return folder


def test_code_of_its_own_runs_only_when_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tmp_path / "toy"
    folder.mkdir()
    python_tokenizer(folder)
    with pytest.raises(ModelError, match=r"model\.trust_remote_code"):
        read_tokenizer(folder)
    tokenizer = TextTokenizer(read_tokenizer(folder, trust_remote_code=True), ["<eom>"])
    assert list(tokenizer.encode(["return"])[0]) == [257, *b"urn"]
    assert tokenizer.token_id("<eom>") == 258
    assert tokenizer.own_prefix() == ("<sop>",)  # which its code adds, and no file says


def test_no_tokenizer_at_all(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"has no tokenizer\.json and no other"):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("tekken.json", b"{", "is not a tekken tokenizer"),
        ("tekken.json", b'{"config": {}}', "is not a tekken tokenizer"),
        ("tokenizer.model.v3", b"junk", "is not a SentencePiece model"),
        ("vocab.json", b"junk", "cannot be loaded"),
        ("tokenizer.json", b"\xff\xfe\xfa", "cannot be read"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=complaint) as caught:
        read_tokenizer(tmp_path)
    assert str(tmp_path) in str(caught.value)
