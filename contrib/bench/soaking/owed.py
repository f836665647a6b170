"""What the agent owes for what happened."""
from dataclasses import dataclass

MISSING, EMPTY = r"there is no database|was removed or moved", r"is empty"
BUSY = r"locked|busy|exclusive"
CALM = 1.5   # seconds in which the agent has seen to what there was
FULL = r"[Nn]o space"
ODD = r"another file has taken the place|is anomalous|has no table any more"
DAMAGED = r"not a SQLite database|malformed|damaged|corrupt"


@dataclass
class Owed:
    """What a phase makes the agent owe."""
    least: int = 0        # points
    most: int = 0         # and one more for each that was scheduled
    allowed: str = ""     # complaints that may be in the log
    required: str = ""    # a complaint that has to be in the log
    absent: bool = False  # there is no database after it
    idle: bool = False    # the agent has nothing to do: its processor time counts
    rewound: bool = False  # a restore put an earlier state in


def one(stage, since):
    """One point for a burst that began at `since`, or the more that its pauses and its length allow."""
    return Owed(1, stage.most_points(since))
