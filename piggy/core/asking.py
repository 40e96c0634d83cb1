"""Questions: commands that decide nothing, answered beside the log by the desk that would decide."""

from __future__ import annotations

from piggy.core import commands as cmd
from piggy.core.answers import Answer
from piggy.core.desk import Desk
from piggy.core.events import CommandRefused
from piggy.core.outlooks import outlook
from piggy.core.position_commands import AskClose
from piggy.core.what_ifs import amended_if, closed_if, what_if


def told(*, command_id: str, command: cmd.AnyCommand | None, desk: Desk, now_us: int) -> Answer:
    """Return what a question is answered, and of any other command that nothing came of it."""
    if isinstance(command, cmd.AskWhatIf):
        return Answer(command_id=command_id, what_if=what_if(terms=command.terms, moment=desk.moment(now_us=now_us)))
    if isinstance(command, cmd.AskAmendment | AskClose):
        moment = desk.moment(now_us=now_us)
        if isinstance(command, AskClose):
            found_out = closed_if(command=command, moment=moment)
        else:
            found_out = amended_if(change=command.change, moment=moment)
        if isinstance(found_out, CommandRefused):
            return Answer(command_id=command_id, refused=found_out)
        return Answer(command_id=command_id, what_if=found_out)
    if isinstance(command, cmd.AskOutlook):
        found = outlook(account_id=command.account_id, moment=desk.moment(now_us=now_us))
        return Answer(command_id=command_id, outlook=found)
    return Answer(command_id=command_id)
