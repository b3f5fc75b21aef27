"""Parameters that several commands share, with their help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

ShopPath = Annotated[Path, Parameter(help="shop.yaml, or the folder that holds one")]
RunPath = Annotated[Path, Parameter(name="--run", help="the run folder to answer from")]
Quiet = Annotated[bool, Parameter(name="--quiet", negative=(), help="show no progress")]
At = Annotated[
    str | None,
    Parameter(name="--at", help="the moment asked about, such as 2017-12-01; the data end if none"),
]
Out = Annotated[
    Path | None,
    Parameter(name="--out", help="write a .parquet or .csv file instead of printing"),
]
EngineName = Annotated[
    str | None, Parameter(name="--engine", help="another engine than the chosen one")
]
