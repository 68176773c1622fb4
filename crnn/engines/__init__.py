"""Inference engines by name, all of one shape: pixels of one bucket in, log-probabilities out.

``build_engine("auto", bundle)(pixels_NHWC)`` gives ``log_probs_TNC``. All give the same texts and,
within ``crnn.engines.proof.TOLERANCE``, the same probabilities; they differ in speed. What runs
the bundle's ``model.onnx`` is chosen only when ``jobs/export.py`` has proven it on that bundle.
Those of ``REDUCED`` compute in fewer bits: they are faster where the processor has arithmetic for
it, may read another text now and then, and run only when asked for by name on a bundle that says
what they lose.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from crnn.errors import EngineError

if TYPE_CHECKING:  # what computes is imported when it is built: a command line needs the names only
    import torch

    from crnn.bundle.bundle import Bundle
    from crnn.engines.graph import Engine

__all__ = [
    "AUTO",
    "BATCH_PIXELS",
    "ENGINES",
    "OF_TORCH",
    "PACKAGES",
    "PREFERRED",
    "REDUCED",
    "RUNTIMES",
    "build_engine",
    "check_engine",
    "engine_for",
]

AUTO = "auto"
BATCH_PIXELS = 1 << 19
"""128 pictures of 32x128 px: enough to fill a CPU core; a GPU takes ten times as much."""
PREFERRED: dict[str, tuple[str, ...]] = {"cpu": ("onnx", "openvino"), "cuda": ()}
"""By device, fastest first, as ``python bench/engines.py`` measures ``mobile``; then torch."""
_ONNX = PREFERRED["cpu"]
PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino", "openvino-bf16": "openvino"}
"""What each of those that run ``model.onnx`` imports."""


def _run_onnx(model: bytes, threads: int) -> Engine:
    from crnn.engines import onnx_runtime

    return onnx_runtime.build(model, threads)


def _run_openvino(model: bytes, threads: int) -> Engine:
    from crnn.engines import openvino_runtime

    return openvino_runtime.build(model, threads)


RUNTIMES: dict[str, Callable[[bytes, int], Engine]] = {
    "onnx": _run_onnx,
    "openvino": _run_openvino,
}
"""``(ONNX model, threads) → engine``, on the CPU, whether or not the model was proven."""


def _build_torch(bundle: Bundle, device: torch.device, threads: int | None) -> Engine:
    from crnn.engines import torch_eager

    return torch_eager.build(bundle.network(), device, threads)


def _build_compiled(bundle: Bundle, device: torch.device, threads: int | None) -> Engine:
    from crnn.engines import torch_compiled

    return torch_compiled.build(bundle.network(), device, threads)


def _build_torch_bf16(bundle: Bundle, device: torch.device, threads: int | None) -> Engine:
    from crnn.engines import torch_eager

    return torch_eager.build(bundle.network(), device, threads, bf16=True)


def _build_from_onnx(
    name: str, bundle: Bundle, device: torch.device, threads: int | None
) -> Engine:
    return RUNTIMES[name](_onnx_of(name, bundle), threads or _usual_threads())


def _build_openvino_bf16(bundle: Bundle, device: torch.device, threads: int | None) -> Engine:
    from crnn.engines import openvino_runtime

    model = _onnx_of("openvino-bf16", bundle)
    return openvino_runtime.build(model, threads or _usual_threads(), bf16=True)


def _usual_threads() -> int:
    import torch

    return torch.get_num_threads()


def _onnx_of(name: str, bundle: Bundle) -> bytes:
    """The bundle's model.onnx, proven where it has to be; raises EngineError."""
    if bundle.onnx is None:
        raise _not_proven(name, bundle, "has no model.onnx")
    proven = bundle.onnx.proof.engines
    if name in RUNTIMES and name not in proven:
        raise _not_proven(name, bundle, f"has a model.onnx proven with {sorted(proven)} only")
    return bundle.onnx.data


def _not_proven(name: str, bundle: Bundle, has: str) -> EngineError:
    if bundle.imported is not None:
        return EngineError(
            f"engine {name!r}: the imported bundle {bundle.name!r} {has}; where {PACKAGES[name]} "
            "is installed, import it again (jobs/import_model.py), or read with another engine"
        )
    return EngineError(
        f"engine {name!r}: the bundle {bundle.name!r} {has}; where {PACKAGES[name]} is "
        "installed, run: python jobs/export.py --bundle BUNDLE"
    )


ENGINES: dict[str, Callable[[Bundle, torch.device, int | None], Engine]] = {
    "torch": _build_torch,
    "compiled": _build_compiled,
    "onnx": partial(_build_from_onnx, "onnx"),
    "openvino": partial(_build_from_onnx, "openvino"),
}
REDUCED: dict[str, Callable[[Bundle, torch.device, int | None], Engine]] = {
    "openvino-bf16": _build_openvino_bf16,
    "torch-bf16": _build_torch_bf16,
}
"""Those that compute in bfloat16, whether or not a bundle records what they lose."""
OF_TORCH = frozenset({*ENGINES, *REDUCED}) - frozenset(PACKAGES)
"""Those that run on PyTorch, and take their memory from the process's heap."""


def build_engine(
    name: str,
    bundle: Bundle,
    *,
    device: torch.device | str = "cpu",
    threads: int | None = None,
) -> Engine:
    """The engine ``name`` (or what ``auto`` stands for) with this bundle's weights, ready to run.

    Args:
        name: one of ``ENGINES`` or ``REDUCED``, or ``auto``.
        device: where it computes; those that run ``model.onnx`` know the CPU only.
        threads: by default torch's number. Those of ``OF_TORCH`` share torch's threads with the
            whole process, so that a number given here is set for all of it.

    Raises:
        ValueError: for an unknown name, a device that the engine can't use, or under 1 thread.
        EngineError: when the bundle wasn't proven with this engine, or doesn't say what is lost
            with it; when its package is missing, or it can't run on this machine.
    """
    import torch

    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}; expected at least 1")
    check_engine(name, bundle, device)
    chosen = engine_for(name, bundle, device)
    return {**ENGINES, **REDUCED}[chosen](bundle, torch.device(device), threads)


def check_engine(name: str, bundle: Bundle, device: torch.device | str = "cpu") -> None:
    """See whether the bundle may be read with the engine, without building it.

    Raises:
        ValueError: for an unknown name, or a device that it can't use.
        EngineError: when the bundle wasn't proven with it, or doesn't say what is lost with it.
    """
    import torch

    chosen = engine_for(name, bundle, device)
    if chosen in OF_TORCH and bundle.imported is not None:
        raise EngineError(
            f"engine {chosen!r} runs weights in PyTorch, but the bundle {bundle.name!r} was "
            f"imported as an ONNX graph; expected one of {[AUTO, *RUNTIMES]}"
        )
    if chosen in PACKAGES and torch.device(device).type != "cpu":
        raise ValueError(
            f"engine {chosen!r} runs on the CPU, not on {device}; expected 'torch' there"
        )
    if chosen in REDUCED and chosen not in bundle.reduced:
        raise EngineError(
            f"engine {chosen!r}: the bundle {bundle.name!r} doesn't record how much accuracy it "
            f"loses; to measure that, run: python jobs/export.py --bundle BUNDLE --reduced {chosen}"
        )
    if chosen in PACKAGES:
        _onnx_of(chosen, bundle)


def engine_for(name: str, bundle: Bundle, device: torch.device | str = "cpu") -> str:
    """``name`` itself, or the fastest engine of this bundle, device and machine for ``auto``.

    Raises:
        ValueError: for an unknown name.
    """
    import torch

    if name == AUTO:
        proven = bundle.onnx.proof.engines if bundle.onnx else {}
        wanted = PREFERRED.get(torch.device(device).type, ())
        if bundle.imported is not None:  # there is nothing that torch could run
            return next((e for e in _ONNX if e in proven and is_installed(e)), _ONNX[0])
        return next((e for e in wanted if e in proven and is_installed(e)), "torch")
    if name not in ENGINES and name not in REDUCED:
        known = [AUTO, *sorted({*ENGINES, *REDUCED})]
        raise ValueError(f"engine is {name!r}; expected one of {known}")
    return name


def is_installed(name: str) -> bool:
    """Whether the package that this engine needs, if any, is there."""
    return name not in PACKAGES or find_spec(PACKAGES[name]) is not None
