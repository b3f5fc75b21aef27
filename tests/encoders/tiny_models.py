"""Models so small that a test can make them."""

from __future__ import annotations

from pathlib import Path

import pytest


def tiny_bert(folder: Path) -> Path:
    """A BERT of one layer of 16 with nine words and a set seed, as transformers saves it."""
    torch = pytest.importorskip("torch", reason="torch is missing: extra 'text'")
    transformers = pytest.importorskip("transformers", reason="transformers is missing: 'text'")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"[PAD]": 0, "[UNK]": 1, "red": 2, "cotton": 3, "dress": 4, "zipper": 5, "shoes": 6}
    tokenizer = Tokenizer(models.WordLevel(words, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.utils.logging.disable_progress_bar()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    ).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    return folder
