"""Where concrete parts are chosen: prepare, train, evaluate, report, and the Python API."""

from shoploom.workflows.config import ShopConfig, load_config
from shoploom.workflows.main_job import fit, run_all
from shoploom.workflows.model import Model, load
from shoploom.workflows.shop import Shop, open

__all__ = ["Model", "Shop", "ShopConfig", "fit", "load", "load_config", "open", "run_all"]
