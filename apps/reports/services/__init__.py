"""Write the log out, and bring in what brokers say of it."""

from apps.reports.services.columns import UnableToTabulate
from apps.reports.services.exporting import CAUSES, Exported, UnableToExport, export
from apps.reports.services.reconciling import Outcome, UnableToDecideBreak, assign, close, explain, reconcile
from apps.reports.services.statements import UnableToReadStatement, content_of

__all__ = [
    "CAUSES",
    "Exported",
    "Outcome",
    "UnableToDecideBreak",
    "UnableToExport",
    "UnableToReadStatement",
    "UnableToTabulate",
    "assign",
    "close",
    "content_of",
    "explain",
    "export",
    "reconcile",
]
