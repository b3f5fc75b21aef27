"""RecTools' SASRec on the protocol of next_item; runs in .venv-rectools (see setup.sh)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import protocol
import torch
from numpy.typing import NDArray
from protocol import Histories, Trained, Training
from pytorch_lightning import seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.item_net import IdEmbeddingsItemNet

# gBCE with t = 0.75 as its authors recommend (Petrov and Macdonald, 2023). Their 256 negatives cost
# about five times these 32 on a CPU, because the library looks up every negative of every position.
SETTINGS = {
    "loss": "gBCE",
    "n_negatives": 32,
    "gbce_t": 0.75,
    "n_blocks": 2,
    "n_heads": 2,
    "n_factors": 64,
    "dropout_rate": 0.3,
    "session_max_len": 50,
    "lr": 1e-3,
    "batch_size": 32,
}
PATIENCE = 5


def train(data: Histories, seed: int, epochs: int) -> Trained:
    """Train for at most so many epochs, fewer when validation no longer improves."""
    seed_everything(seed)
    model = SASRecModel(**SETTINGS, item_net_block_types=(IdEmbeddingsItemNet,))
    learned = _dataset(data.train)
    training = Training(patience=PATIENCE)
    while training.epochs < epochs:
        training.start_epoch()
        model.fit_partial(learned, min_epochs=1, max_epochs=1)
        training.end_epoch()
        top = _recommend(model, learned, len(data.past))
        if training.judge(
            protocol.ndcg_at_10(top, data.validation), model.torch_model.state_dict()
        ):
            break
    model.torch_model.load_state_dict(training.weights)
    history = _dataset(data.past)
    settings = SETTINGS | {"patience": PATIENCE}
    return Trained(settings, training, lambda: _recommend(model, history, len(data.past)))


def _dataset(histories: list[NDArray[np.int64]]) -> Dataset:
    """The library's own form; a position stands for the time, which these files do not have."""
    lengths = [len(codes) for codes in histories]
    position = np.concatenate([np.arange(length) for length in lengths])
    return Dataset.construct(
        pd.DataFrame(
            {
                Columns.User: np.repeat(np.arange(len(histories)), lengths),
                Columns.Item: np.concatenate(histories),
                Columns.Weight: 1.0,
                Columns.Datetime: pd.Timestamp("2020-01-01") + pd.to_timedelta(position, unit="D"),
            }
        )
    )


def _recommend(model: SASRecModel, history: Dataset, n: int) -> NDArray[np.int64]:
    """``(n, K)`` codes of unseen items; -1 for users of whose items none was trained on."""
    found = model.recommend(
        np.arange(n),
        history,
        k=protocol.K,
        filter_viewed=True,
        on_unsupported_targets="ignore",
    )
    top = np.full((n, protocol.K), -1)
    top[found[Columns.User], found[Columns.Rank] - 1] = found[Columns.Item]
    return top


if __name__ == "__main__":
    torch.set_num_interop_threads(1)
    protocol.main(__doc__ or "", train)
