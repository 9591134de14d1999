"""What a check of the doctor found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        mend: what to do about it; empty where all is well.
        fatal: the stack can't run like this.
    """

    text: str
    mend: str = ""
    fatal: bool = True

    def __str__(self) -> str:
        if not self.mend:
            return f"  ok    {self.text}"
        return f"  {'FAIL' if self.fatal else 'warn'}  {self.text}\n        → {self.mend}"
