"""RePlay's SASRec on the protocol of next_item; runs in .venv-replay (see setup.sh)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import lightning
import numpy as np
import protocol
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from protocol import Histories, Trained, Training
from replay.data import FeatureHint, FeatureSource, FeatureType
from replay.data.nn import ParquetModule, TensorFeatureInfo, TensorFeatureSource, TensorSchema
from replay.nn.lightning import LightningModule
from replay.nn.lightning.optimizer import OptimizerFactory
from replay.nn.lightning.postprocessor import SeenItemsFilter
from replay.nn.sequential import SasRec
from replay.nn.transform import TargetAwareAdaptiveTrimTransform, UnsqueezeTransform
from replay.nn.transform.template import make_default_sasrec_transforms

# The library's own defaults, but for a smaller width; its loss is the full softmax.
SETTINGS = {
    "embedding_dim": 64,
    "num_heads": 2,
    "num_blocks": 2,
    "max_sequence_length": 50,
    "dropout": 0.3,
}
LEARNING_RATE = 1e-3
BATCH = 32
ANSWERED = 256  # users in a batch that is answered
PATIENCE = 5
ITEM = "item_id"


def train(data: Histories, seed: int, epochs: int) -> Trained:
    """Train for at most so many epochs, fewer when validation no longer improves."""
    lightning.seed_everything(seed)
    schema = _schema(len(data.items))
    module = LightningModule(
        SasRec.from_params(schema, **SETTINGS), OptimizerFactory(learning_rate=LEARNING_RATE)
    )
    training = Training(patience=PATIENCE)
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=epochs,
            callbacks=[_Validation(data, training)],
            accelerator="cpu",
            limit_val_batches=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            logger=False,
        )
        trainer.fit(module, _batches(data.train, schema, Path(folder) / "train.parquet"))
    module.model.load_state_dict(training.weights)
    settings = SETTINGS | {
        "loss": "full softmax",
        "lr": LEARNING_RATE,
        "batch_size": BATCH,
        "patience": PATIENCE,
    }
    return Trained(settings, training, lambda: _recommend(module.model, data.past, len(data.items)))


def _schema(n_items: int) -> TensorSchema:
    return TensorSchema(
        TensorFeatureInfo(
            ITEM,
            feature_type=FeatureType.CATEGORICAL,
            is_seq=True,
            feature_hint=FeatureHint.ITEM_ID,
            feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, ITEM)],
            cardinality=n_items,
            padding_value=n_items,
            embedding_dim=SETTINGS["embedding_dim"],
        )
    )


def _batches(histories: list[NDArray[np.int64]], schema: TensorSchema, path: Path) -> ParquetModule:
    """Training batches of the library, which reads Parquet; one item alone teaches nothing."""
    kept = [codes for codes in histories if len(codes) > 1]
    pq.write_table(pa.table({ITEM: pa.array(kept, pa.list_(pa.int64()))}), path)
    transforms = make_default_sasrec_transforms(schema)
    # Most histories are short: padding that nobody in a batch needs is cut before they get a third
    # dimension.
    at = next(i for i, step in enumerate(transforms["train"]) if type(step) is UnsqueezeTransform)
    transforms["train"].insert(at, TargetAwareAdaptiveTrimTransform([ITEM, "positive_labels"]))
    # One more than the longest input, because the target is the input moved by one.
    shape = SETTINGS["max_sequence_length"] + 1
    return ParquetModule(
        BATCH,
        {"train": {ITEM: {"shape": shape, "padding": schema[ITEM].padding_value}}},
        transforms,
        train_path=str(path),
    )


class _Validation(lightning.Callback):
    """After each epoch: recommend, judge by the item that followed, stop when it is time."""

    def __init__(self, data: Histories, training: Training):
        self.data, self.training = data, training

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        self.training.start_epoch()

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        self.training.end_epoch()
        model, data = pl_module.model, self.data
        top = _recommend(model, data.train, len(data.items))
        ndcg = protocol.ndcg_at_10(top, data.validation)
        trainer.should_stop = self.training.judge(ndcg, model.state_dict())


@torch.inference_mode()
def _recommend(
    model: SasRec, histories: list[NDArray[np.int64]], n_items: int
) -> NDArray[np.int64]:
    """``(n, K)`` codes of unseen items for everybody, -1 where none is left."""
    was_training = model.training
    model.eval()
    unseen = SeenItemsFilter(n_items, seen_items_column="seen")
    top = []
    for start in range(0, len(histories), ANSWERED):
        batch = histories[start : start + ANSWERED]
        # Seen is everything, read are the last ones; both are padded on the left.
        seen = np.full((len(batch), max(map(len, batch))), n_items)
        for row, codes in enumerate(batch):
            seen[row, len(seen[row]) - len(codes) :] = codes
        seen = torch.from_numpy(seen)
        item = seen[:, -SETTINGS["max_sequence_length"] :]
        logits = model(feature_tensors={ITEM: item}, padding_mask=item != n_items)["logits"]
        best = unseen.on_prediction({"seen": seen}, logits).topk(protocol.K)
        top.append(best.indices.masked_fill(best.values.isneginf(), -1))
    model.train(was_training)
    return torch.cat(top).numpy()


if __name__ == "__main__":
    torch.set_num_interop_threads(1)
    protocol.main(__doc__ or "", train)
