"""Write the log out, and bring in what brokers say of it."""

from apps.reports.services.columns import UnableToTabulate
from apps.reports.services.exporting import Exported, UnableToExport, export

__all__ = ["Exported", "UnableToExport", "UnableToTabulate", "export"]
