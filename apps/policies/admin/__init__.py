"""The screens of policies, and of the rule lab."""

from apps.policies.admin import drafts, lab

__all__ = ["drafts", "lab"]
