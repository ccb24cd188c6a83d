"""A program that writes a BERT sentence model as ONNX. It is a process of its own, so that torch's memory is freed.

python onnx_export.py SOURCE_FOLDER FP32.onnx INT8.onnx
"""

import sys
from pathlib import Path

OPSET = 17


def main(source: str, full: str, quantized: str) -> None:
    export(Path(source), Path(full))
    quantize(Path(full), Path(quantized))


def export(source: Path, target: Path) -> None:
    """Write `source` as a graph: input_ids, attention_mask (batch × length) → vector (batch × dimensions).

    The graph includes mean pooling under the mask and normalizing, as in sentence-transformers.
    """
    import torch  # noqa: PLC0415 - 350 MB that only this process needs
    from transformers import AutoModel  # noqa: PLC0415

    class Sentence(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = AutoModel.from_pretrained(source, attn_implementation="eager").eval()

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            words = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(words.dtype)
            mean = (words * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, dim=1)

    ids = torch.tensor([[101, 7592, 2088, 102], [101, 7592, 102, 0]])
    names = ["input_ids", "attention_mask"]
    torch.onnx.export(
        Sentence(),
        (ids, (ids != 0).long()),
        str(target),
        input_names=names,
        output_names=["vector"],
        dynamic_axes={name: {0: "batch", 1: "length"} for name in names} | {"vector": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )


def quantize(full: Path, target: Path) -> None:
    """Convert the weights to int8 with one scale a channel. Activations get their scale at run time."""
    # imports onnx: 60 MB that only this process needs
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]  # noqa: PLC0415

    quantize_dynamic(full, target, per_channel=True, weight_type=QuantType.QInt8)


if __name__ == "__main__":
    main(*sys.argv[1:])
