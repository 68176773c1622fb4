"""Settings that several configs have, each with its one line of help.

``field: EngineName = AUTO`` in a config dataclass says in ``--help`` what stands here.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from typing_extensions import Doc

DecoderName = Literal["beam", "fusion", "greedy", "lexicon"]
"""Name of a decoder; ``crnn.decode.DECODERS``, which needs PyTorch, builds each."""
DECODED_BY = f"How texts are decoded: {', '.join(get_args(DecoderName))}"
"""Help of a flag that takes such a name; each job adds its default."""
EngineName = Annotated[
    str,
    Doc(
        "What runs the model: torch, compiled, onnx or openvino; auto: the fastest one available. "
        "openvino-bf16 and torch-bf16 compute in bfloat16, if the bundle records what that loses."
    ),
]
SecondBundle = Annotated[
    str,
    Doc(
        "A second bundle, which reads the pictures that the first one doubts: a folder, s3:// or "
        "gs:// address."
    ),
]
Below = Annotated[
    float, Doc("With --then: a reading whose confidence (0 to 1) is lower is doubtful.")
]
Surer = Annotated[
    bool,
    Doc(
        "With --then: the second bundle's reading counts only where it is more confident than the "
        "first; for a bundle fine-tuned on one kind of pictures, beside the one it began from."
    ),
]
LexiconFile = Annotated[str, Doc("Text file with the allowed words, one a line.")]
UseGpu = Annotated[bool, Doc("Run on the GPUs of the cluster, one process for each.")]
DecodeMemoryMb = Annotated[
    int,
    Doc("Memory limit of a decoding process, MiB; a picture that needs more becomes an error."),
]
DecodeTimeoutS = Annotated[
    float, Doc("Time limit for decoding one picture, seconds; a slower one becomes an error.")
]
