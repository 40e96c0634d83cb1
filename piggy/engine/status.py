"""What an engine says of itself to health checks and screens."""

from __future__ import annotations

from dataclasses import dataclass, field

from piggy.engine.figures import Figures
from piggy.engine.storage import Storage
from piggy.engine.unkept import Unkept


@dataclass(slots=True)
class Status:
    """`state` is STARTING, STANDBY, RECOVERING, ACTIVE or DRAINING; `halted` maps a tenant to what is wrong there.

    `progress` is how far each tenant's log is folded, `goals` where it ended when that began. Of `venues` those in
    `unreconciled` (tenant/venue) are closed for entry until their workers know what became of all they had. Of tenants
    that are `suspended` no socket stays open. `elsewhere` are the domains of tenants that another shard has.
    `taken_at_s` is when each tenant's desk was taken over from whoever had it (Unix s, and monotonic s).
    """

    state: str = "STARTING"
    token: int = 0
    progress: dict[str, int] = field(default_factory=dict)
    goals: dict[str, int] = field(default_factory=dict)
    halted: dict[str, str] = field(default_factory=dict)
    venues: int = 0
    unreconciled: list[str] = field(default_factory=list)
    domains: dict[str, str] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)
    taken_at_s: dict[str, tuple[int, float]] = field(default_factory=dict)
    clock_steps: int = 0
    figures: Figures = field(default_factory=Figures)
    storage: Storage = field(default_factory=Storage)
    unkept: Unkept = field(default_factory=Unkept)
