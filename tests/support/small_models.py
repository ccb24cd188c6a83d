"""A program that builds a small random sentence model of each family, exports it, and keeps its reference vectors.

python small_models.py FOLDER [FAMILIES, PROMPTS, TEXTS]     (the second argument is JSON)
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from server.index.model import onnx_export

WORDS = ["a", "bear", "canoe", "did", "eat", "one", "question", "red", "small", "text", "the", "three", "two", "what"]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SIZES = {
    "vocab_size": len(SPECIAL) + len(WORDS),
    "hidden_size": 32,
    "dim": 32,
    "num_hidden_layers": 2,
    "n_layers": 2,
    "num_attention_heads": 4,
    "n_heads": 4,
    "intermediate_size": 64,
    "hidden_dim": 64,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}


def main(target: str, wanted: str) -> None:
    families, prompts, texts = json.loads(wanted)
    for family, pooling in families.items():
        folder = Path(target, family)
        build(family, folder / "parts")
        model = SentenceTransformer(
            modules=[Transformer(str(folder / "parts")), Pooling(32, pooling_mode=pooling), Normalize()],
            prompts=prompts,
        )
        model.save(str(folder))
        shutil.rmtree(folder / "parts")
        questions, passages = model.encode_query(texts), model.encode_document(texts)
        np.savez(folder / "reference.npz", questions=questions, passages=passages)
        onnx_export.main(str(folder), pooling, str(folder / "full.onnx"), str(folder / "int8.onnx"))


def build(family: str, folder: Path) -> None:
    torch.manual_seed(7)
    config = AutoConfig.for_model(family, **SIZES)
    AutoModel.from_config(config).save_pretrained(folder)  # type: ignore[no-untyped-call]  # it has no types
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # the same
        tokenizer_object=tokenizer,
        cls_token="<s>",
        pad_token="<pad>",
        sep_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=25,
        model_input_names=["input_ids", "attention_mask"],
    )
    fast.save_pretrained(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
