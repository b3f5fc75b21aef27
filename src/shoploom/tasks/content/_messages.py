"""What customers write to the shop, as examples."""

from __future__ import annotations

import numpy as np

from shoploom.core import columns as c
from shoploom.tables import Tables
from shoploom.tasks.content.readings import Examples, arranged, coded, columns_of, joined


def messages(tables: Tables, reading: str, label: str) -> Examples:
    """Every turn of a customer, labelled by the column ``label`` where it is filled."""
    needed = [c.DIALOGUE_ID, c.USER_ID, c.TIME, c.TEXT, label]
    table = columns_of(tables, "dialogues", needed, reading)
    if c.ROLE in table.columns:
        table = table.filter(table[c.ROLE] == c.CUSTOMER)
    rows = table.select(*needed).to_pandas()
    labels, names = coded(rows[label].to_numpy(object))
    return arranged(
        Examples(
            texts=joined([rows[c.TEXT].to_numpy(object)]),
            labels=labels,
            times=rows[c.TIME].to_numpy(np.int64),
            users=rows[c.USER_ID].to_numpy(object),
            keys=rows[c.DIALOGUE_ID].to_numpy(object),
            names=names,
        )
    )
