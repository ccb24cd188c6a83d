"""A program that writes a sentence model as ONNX. It runs as a separate process, so that torch's memory is freed.

python onnx_export.py SOURCE_FOLDER POOLING FP32.onnx INT8.onnx
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it has no types
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

OPSET = 17
SAMPLE_LENGTHS = (3, 20)
LEAST_COSINE = 0.999
LEAST_INT8_COSINE = 0.85
"""The lowest cosine allowed for the samples, to detect models that int8 ruins. Real texts reach a higher one; the
samples are random tokens.
"""

Ids: TypeAlias = NDArray[np.int64]
Vectors: TypeAlias = NDArray[np.float32]


def main(source: str, pooling: str, full: str, quantized: str) -> None:
    samples = export(Path(source), pooling, Path(full))
    require_alike(Path(full), samples, LEAST_COSINE)
    quantize(Path(full), Path(quantized))
    require_alike(Path(quantized), samples, LEAST_INT8_COSINE)


def export(source: Path, pooling: str, target: Path) -> list[tuple[Ids, Vectors]]:
    """Write `source` as a graph: input_ids (1 × length) → vector (1 × dimensions).

    Return some sample texts whose lengths differ from the traced one, with the vectors that they should get.
    """
    import torch  # noqa: PLC0415 - 350 MB that only this process needs

    model, vocabulary = sentence_model(source, pooling)
    torch.onnx.export(
        model,
        (torch.randint(*vocabulary, (1, 7)),),
        str(target),
        input_names=["input_ids"],
        output_names=["vector"],
        dynamic_axes={"input_ids": {1: "length"}},
        opset_version=OPSET,
        dynamo=False,
    )
    with torch.no_grad():
        samples = [torch.randint(*vocabulary, (1, length)) for length in SAMPLE_LENGTHS]
        return [(ids.numpy(), model(ids).numpy()) for ids in samples]


def sentence_model(source: Path, pooling: str) -> "tuple[torch.nn.Module, tuple[int, int]]":
    """Return the encoder with its pooling ("mean" or "cls") and normalization, for one text without padding. Also
    return the range of token ids without padding.
    """
    import torch  # noqa: PLC0415
    from transformers import AutoModel  # noqa: PLC0415

    class Sentence(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = AutoModel.from_pretrained(source, attn_implementation="eager", dtype=torch.float32)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            words = self.encoder(input_ids=input_ids).last_hidden_state
            return torch.nn.functional.normalize(words[:, 0] if pooling == "cls" else words.mean(1), dim=1)

    model = Sentence().eval()
    config = model.encoder.config
    return model, ((config.pad_token_id or 0) + 1, config.vocab_size)


def require_alike(graph: Path, samples: list[tuple[Ids, Vectors]], least: float) -> None:
    """Exit unless the graph's vectors have at least this cosine with the samples' vectors."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    for ids, vectors in samples:
        (found,) = session.run(["vector"], {"input_ids": ids})
        if not (found * vectors).sum() >= least:
            raise SystemExit(f"{graph.name} gives vectors that differ from those of the model")


def quantize(full: Path, target: Path) -> None:
    """Convert the weights to int8 with one scale per channel. Activations get their scale at run time."""
    # imports onnx: 60 MB that only this process needs
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]  # noqa: PLC0415

    quantize_dynamic(full, target, per_channel=True, weight_type=QuantType.QInt8)


if __name__ == "__main__":
    main(*sys.argv[1:])
