"""What the exported log says: profit and loss, slippage, an LP's executions; and which files and breaks there are."""

from apps.reports.selectors.best_execution import best_execution
from apps.reports.selectors.breaks import open_breaks, venue_names
from apps.reports.selectors.executions import FIRST_DAY, LAST_DAY
from apps.reports.selectors.files import NO_END, NothingThere, UnableToReadFiles, default_folder, opened, pieces
from apps.reports.selectors.profit import Profit, profits
from apps.reports.selectors.slippage import PARTS, Slippage, slippages

__all__ = [
    "FIRST_DAY",
    "LAST_DAY",
    "NO_END",
    "PARTS",
    "NothingThere",
    "Profit",
    "Slippage",
    "UnableToReadFiles",
    "best_execution",
    "default_folder",
    "open_breaks",
    "opened",
    "pieces",
    "profits",
    "slippages",
    "venue_names",
]
