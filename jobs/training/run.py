"""A training run as its driver sees it: claim the name, find the data, fit, leave a whole folder.

runs/NAME/  config.yaml   every setting, written first; a resume is checked against it
            history.json, tensorboard/, checkpoint_*/   while it trains
            bundle/ report.json report.html curves.png rejects.parquet   at the end
            done.json     written last: the folder is complete
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import ray.train
import yaml
from ray.train.torch import TorchTrainer

from crnn.bundle.bundle import Bundle, load_bundle, save_bundle
from crnn.errors import CheckpointMismatchError, NonFiniteLossError
from crnn.files import storage
from crnn.heap import kept_heap
from crnn.model.network import CRNN
from crnn.text.metrics import wilson_interval
from crnn.training.old_network import OldNetwork
from jobs import cluster
from jobs.cli import as_mapping, flatten
from jobs.failures import ours
from jobs.progress import ProgressLines, clock
from jobs.training.board import BoardReader, new_board
from jobs.training.curves import plot_curves
from jobs.training.data import TrainingData, check_inputs, gather
from jobs.training.history import History
from jobs.training.loop import BUNDLE_FOLDER, PROGRESS_FILE, WorkerOrders, train_worker
from jobs.training.losses import in_words, what_was_lost
from jobs.training.meeting import torch_config
from jobs.training.network import first_network, origin, start_address
from jobs.training.rejects import RejectParts
from jobs.training.settings import TrainSettings, differences
from jobs.training.stops import FailureTeller, workers_lost
from jobs.training.tracking import Tracker, check_installed
from pipelines import claim
from pipelines.evaluation import Evaluation, evaluate
from pipelines.owned import delete_ours, refuse_foreign
from pipelines.report import write_report
from pipelines.stream.plan import epoch_rows

CONFIG_FILE = "config.yaml"
DONE_FILE = "done.json"
RUN_FILES = re.compile(
    r"config\.yaml|history\.json|done\.json|tracking\.json|report\.(html|json)|curves\.png|rejects\.parquet|"
    r"rejects/part-\d+\.parquet|tensorboard/[^/]*tfevents[^/]*|audit/.+|"
    r"bundle/(bundle\.json|MODEL_CARD\.md|reliability\.svg|model\.(safetensors|onnx))|"
    r"checkpoint_[^/]+/.+|checkpoint_manager_snapshot\.json|\.validate_storage_marker|(.*/)?\.[0-9a-f]{32}\..+"
)
"""Paths in a run's folder, those that Ray Train writes included."""
_SIGN = re.compile(re.escape(claim.SIGN_NAME))
_WITH_SIGN = re.compile(f"{RUN_FILES.pattern}|{_SIGN.pattern}")
_WRITER = "a run of jobs/train.py"
_ANOTHER = "another --name, or --overwrite to replace it"
_EXAMPLES = 8
_HIGH_LR = 2e-3
_WORKER_ENV = {
    # Idle threads of torch sleep instead of spinning: where other work shares the cores, a team
    # that spins waits for the one of its threads that isn't running, and training all but stops.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Ray trains on a second thread, whose heap would go back to the kernel at every step, to be
    # taken again at the next, at up to 60,000 page faults a second.
    **kept_heap(2**30),
}


def train(settings: TrainSettings) -> str:
    """The whole run; returns the address of its bundle.

    Raises:
        CrnnError: for bad data, workers that can't be placed, a run of other settings, or
            too many non-finite steps.
    """
    began_s = time.monotonic()
    settings = _named(settings)
    run_uri = storage.join(settings.storage_path, settings.name)
    _check_folder(run_uri, overwrite=settings.overwrite)
    check_installed(settings.track)
    if _is_complete(run_uri, settings):
        return storage.join(run_uri, BUNDLE_FOLDER)
    with claim.alone_at_work(run_uri):
        return _trained(run_uri, settings, began_s)


def _trained(run_uri: str, settings: TrainSettings, began_s: float) -> str:
    """The run itself, from its inputs to its bundle's address."""
    start = check_inputs(settings)
    _, most = settings.worker_range()
    cluster.connect(settings.address or None, local_cpus=most + settings.cpus_per_data_task)
    settings = _placed(settings)
    print(f"run {settings.name} → {run_uri}", flush=True)
    data = gather(settings, start.charset if start else None)
    started_from = _claim(run_uri, settings, data, origin(settings, start))
    tracker = Tracker(settings.track, run_uri, settings.name, flatten(as_mapping(settings)))
    result = _fit(run_uri, settings, data, start, tracker)
    bundle_uri = _finish(run_uri, settings, data, result, started_from)
    tracker.finish(run_uri, bundle_uri)
    print(f"complete after {clock(time.monotonic() - began_s)}: {bundle_uri}", flush=True)
    return bundle_uri


def _named(settings: TrainSettings) -> TrainSettings:
    name = settings.name or time.strftime("train-%Y%m%d-%H%M%S")
    return replace(settings, name=name, storage_path=storage.absolute(settings.storage_path))


def _check_folder(run_uri: str, *, overwrite: bool) -> None:
    """DataError where the run's folder is somebody else's, or overwriting it would delete more."""
    is_run = storage.exists(storage.join(run_uri, CONFIG_FILE))
    if overwrite or not is_run:
        refuse_foreign(run_uri, _WITH_SIGN if is_run else _SIGN, _WRITER)


def _is_complete(run_uri: str, settings: TrainSettings) -> bool:
    """Whether there is a complete run of these settings; an unfinished one must have them too."""
    if settings.overwrite or not storage.exists(storage.join(run_uri, CONFIG_FILE)):
        return False
    _check_same(run_uri, settings)
    if not storage.exists(storage.join(run_uri, DONE_FILE)):
        return False
    print(f"run {settings.name} is complete: {run_uri}; --overwrite or another --name starts over")
    return True


def _placed(settings: TrainSettings) -> TrainSettings:
    """The settings with the CPUs of a worker decided, once the cluster has room for them."""
    low, most = settings.worker_range()
    cpus = settings.cpus_per_worker
    if not cpus:
        free = ray.cluster_resources().get("CPU", 0.0) - settings.cpus_per_data_task
        cpus = 1.0 if free >= most or settings.use_gpu else max(0.25, free // (most / 4) / 4)
    cluster.check_placement(
        workers=low,
        cpus_per_worker=cpus,
        gpus_per_worker=float(settings.use_gpu),
        data_cpus=settings.cpus_per_data_task,
        wait_s=settings.placement_wait_s,
    )
    return replace(settings, cpus_per_worker=cpus)


def _check_same(
    run_uri: str, settings: TrainSettings, facts: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The configuration of the run of this name.

    Raises:
        CheckpointMismatchError: when it was begun with other settings or other data.
    """
    text = storage.read_bytes(storage.join(run_uri, CONFIG_FILE)).decode()
    before: dict[str, Any] = yaml.safe_load(text)
    differing = differences(before["settings"], settings)
    facts = facts or {}
    differing += claim.differences({key: before["facts"].get(key) for key in facts}, facts)
    if differing:
        raise CheckpointMismatchError(claim.other_settings(run_uri, differing, _ANOTHER))
    return before


def _claim(run_uri: str, settings: TrainSettings, data: TrainingData, started_from: str) -> str:
    """Writes the configuration of a new run, in place of one to be overwritten; or checks it.

    Returns:
        What the run started from, in words.
    """
    if settings.overwrite:
        refuse_foreign(run_uri, _WITH_SIGN, _WRITER)
        delete_ours(run_uri, RUN_FILES, first=[DONE_FILE], last=[CONFIG_FILE])
    facts: dict[str, Any] = {
        "charset": data.train.charset.characters,
        "data_digest": data.digest,
        "train_samples": data.train_scan.usable,
        "val_samples": data.val_scan.usable,
    }
    if data.train.charset.has_turns:
        facts["text_order"] = data.train.charset.text_order
    config_uri = storage.join(run_uri, CONFIG_FILE)
    if storage.exists(config_uri):
        before = _check_same(run_uri, settings, facts)
        print(f"resuming {settings.name}", flush=True)
        return str(before.get("started_from", "unknown"))
    config = {"settings": as_mapping(settings), "facts": facts, "started_from": started_from}
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    storage.write_bytes(config_uri, text.encode())
    return started_from


def _fit(
    run_uri: str, settings: TrainSettings, data: TrainingData, start: Bundle | None, track: Tracker
) -> ray.train.Result:
    """Training under Ray Train, watched on the board.

    Raises:
        NonFiniteLossError: when the workers gave up on it.
    """
    low, most = settings.worker_range()
    board = new_board()
    model = first_network(settings, data.train.charset, start)
    _announce(settings, data, model)
    orders = WorkerOrders(
        settings=settings,
        run_uri=run_uri,
        weights=ray.put(model.state_dict()),
        old=_old(settings, data, start, model),
        train=data.train,
        val=data.val,
        total_samples=round(settings.epochs * _usable_rows(data)),
        data_digest=data.digest,
        cpus_per_worker=settings.cpus_per_worker,
        threads=settings.threads_per_worker or max(1, ((os.cpu_count() or 1) - 1) // most),
        board=board,
    )
    resources = {"CPU": settings.cpus_per_worker} | ({"GPU": 1.0} if settings.use_gpu else {})
    filesystem, path = storage.resolve_careful(settings.storage_path)
    trainer = TorchTrainer(
        train_worker,  # type: ignore[arg-type]  # Ray's own hint forbids a result
        train_loop_config={"orders": orders},
        torch_config=torch_config(),
        scaling_config=ray.train.ScalingConfig(
            num_workers=most if low == most else (low, most),  # type: ignore[arg-type]
            use_gpu=settings.use_gpu,
            resources_per_worker=resources,
        ),
        run_config=ray.train.RunConfig(
            name=settings.name,
            storage_path=path,
            storage_filesystem=filesystem,
            worker_runtime_env={"env_vars": _WORKER_ENV},  # type: ignore[call-arg]
            failure_config=ray.train.FailureConfig(max_failures=settings.max_failures),
            callbacks=[FailureTeller(board)],
            checkpoint_config=ray.train.CheckpointConfig(
                num_to_keep=1, checkpoint_score_attribute="score"
            ),
        ),
    )
    with BoardReader(board, track):
        return _result(trainer, settings)


def _old(
    settings: TrainSettings, data: TrainingData, start: Bundle | None, model: CRNN
) -> OldNetwork | None:
    """What replayed samples follow in place of their labels, if anything."""
    if start is None or settings.replay_targets == "labels":
        return None
    return data.replay.network(start, data.train.charset, model)


def _result(trainer: TorchTrainer, settings: TrainSettings) -> ray.train.Result:
    """What came out of it, or the error that a user understands."""
    try:
        result = trainer.fit()
    except SystemExit:  # what Ray Train's own handler makes of Ctrl-C
        raise KeyboardInterrupt from None
    except ray.train.TrainingFailedError as error:
        raise ours(error) or workers_lost(error, settings.max_failures) from error
    gave_up = getattr(result, "return_value", None)
    if gave_up:
        raise NonFiniteLossError(str(gave_up))
    return result


def _usable_rows(data: TrainingData) -> float:
    """Samples of an epoch: the mix's rows, less the share that the labels' scan refused."""
    share = data.train_scan.usable / max(1, data.train_scan.total)
    return epoch_rows(data.train.sources) * (1 - data.train.held_out_share) * share


def _announce(settings: TrainSettings, data: TrainingData, model: CRNN) -> None:
    size = sum(parameter.numel() for parameter in model.parameters())
    if settings.model.backbone != "mobile" and settings.optim.lr > _HIGH_LR:
        print(
            f"note: --optim.lr {settings.optim.lr:g} suits mobile; {settings.model.backbone} "
            "needs about 1e-3",
            flush=True,
        )
    device = "GPU" if settings.use_gpu else "CPU"
    print(
        f"training {settings.model.backbone}, {size / 1e6:.2f}M parameters, "
        f"{len(data.train.charset.characters)} characters, on {settings.num_workers} {device} "
        f"worker(s); {data.train_scan.usable:,} samples, {data.val_scan.usable:,} to validate on",
        flush=True,
    )
    rendered = sum(source.rows_an_epoch or 0 for source in data.replay.sources)
    if rendered:
        print(
            f"{rendered:,} of the {round(epoch_rows(data.train.sources)):,} samples of an epoch "
            "are rendered words of what it reads already (--replay)",
            flush=True,
        )


def _finish(
    run_uri: str,
    settings: TrainSettings,
    data: TrainingData,
    result: ray.train.Result,
    started_from: str,
) -> str:
    """Bundle of the best checkpoint, evaluated and calibrated; report, curves, rejects."""
    assert result.checkpoint is not None, "the loop ends with a report"
    best = max(result.best_checkpoints or [], key=lambda pair: pair[1]["score"])[0]
    with result.checkpoint.as_directory() as folder:
        progress = json.loads((Path(folder) / PROGRESS_FILE).read_text(encoding="utf-8"))
    history = History.from_state_dict(progress["history"])
    bundle_uri = storage.join(run_uri, BUNDLE_FOLDER)
    with best.as_directory() as folder:
        uncalibrated = str(Path(folder) / BUNDLE_FOLDER)
        lines = ProgressLines("evaluating")
        evaluation = evaluate(
            uncalibrated,
            data.val_sets,
            held_out_share=data.val.held_out_share,
            on_progress=lambda progress: lines(progress.rows, progress.total_rows),
        )
        bundle = load_bundle(uncalibrated)
    calibration = evaluation.fit_calibration()
    calibrated = evaluation.calibrated(calibration, bundle_uri)
    with tempfile.TemporaryDirectory() as local:
        save_bundle(
            Path(local) / BUNDLE_FOLDER,
            model=bundle.network(),
            charset=bundle.charset,
            picture=bundle.picture,
            reading=bundle.reading,
            decoder=bundle.decoder,
            calibration=calibration,
            name=settings.name,
            data_digest=data.digest,
            metrics=evaluation.total.to_dict(),
            training=_facts(settings, data, history, started_from),
            reliability=calibrated.confidence_bins,
        )
        storage.upload_folder(Path(local) / BUNDLE_FOLDER, bundle_uri, last=["bundle.json"])
    lost = what_was_lost(settings, data, bundle_uri)
    write_report(calibrated, run_uri, lost)
    words = f"{evaluation.total.exact_accuracy:.2%} of words"
    title = f"{settings.name}: {settings.model.backbone}, {words}"
    storage.write_bytes(storage.join(run_uri, "curves.png"), plot_curves(history, title))
    rejects = RejectParts(run_uri)
    counts = rejects.merge()
    _show(evaluation, history, counts)
    if lost:
        print(*in_words(lost, start_address(settings) or "", bundle_uri), sep="\n", flush=True)
    done = {"rejects": counts, "metrics": evaluation.total.to_dict()}
    storage.write_bytes(storage.join(run_uri, DONE_FILE), json.dumps(done, indent=1).encode())
    rejects.clear()
    return bundle_uri


def _facts(
    settings: TrainSettings, data: TrainingData, history: History, started_from: str
) -> dict[str, Any]:
    """How the bundle was made, for its card."""
    device = "GPU" if settings.use_gpu else "CPU"
    return {
        "commands": [shlex.join(["python", "jobs/train.py", *sys.argv[1:]])],
        "seed": settings.seed,
        "started from": started_from,
        "samples of the data": data.train_scan.usable,
        "samples seen": int(history.validations[-1]["samples"]),
        "hours": round(history.train_s / 3600, 3),
        "workers": f"{settings.num_workers} {device}, {platform.machine()}, {os.cpu_count()} cores",
    }


def _show(evaluation: Evaluation, history: History, rejects: dict[str, int]) -> None:
    """What a person wants to see last: some words, the accuracy, what was set aside."""
    for label, reading in history.examples[:_EXAMPLES]:
        print(f"  {label:<16} {'read as' if label == reading else 'MISREAD as'} {reading}")
    for name, sums in evaluation.by_set.items():
        low, high = wilson_interval(sums.exact, sums.count)
        print(
            f"{name}: {sums.exact_accuracy:.2%} of {sums.count:,} read exactly "
            f"(95% interval {low:.2%} to {high:.2%}), CER {sums.character_error_rate:.2%}"
        )
    print(f"rejects: {rejects or 'none'}", flush=True)
