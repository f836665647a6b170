"""The agent's pending work after an event."""
from dataclasses import dataclass

MISSING, EMPTY = r"there is no database|was removed or moved|no longer exists", r"is empty"
BUSY = r"locked|busy|exclusive"
CALM = 1.5   # seconds after which the agent has handled every event
FULL = r"[Nn]o space"
ODD = r"another file has taken the place|is anomalous|no longer has any table"
DAMAGED = r"not a SQLite database|malformed|damaged|corrupt"


@dataclass
class Owed:
    """The pending work that a phase gives the agent."""
    least: int = 0        # backups
    most: int = 0         # plus one for each scheduled run
    allowed: str = ""     # complaints that may be in the log
    required: str = ""    # a complaint that has to be in the log
    absent: bool = False  # there is no database after it
    idle: bool = False    # the agent has no work: its processor time counts
    rewound: bool = False  # a restore brought back an earlier state


def one(stage, since):
    """One backup for a burst that began at `since`, or as many more as its pauses and its length allow."""
    return Owed(1, stage.most_points(since))
