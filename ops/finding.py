"""The result of a check."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        fix: how to fix the problem; empty if there is none.
        fatal: the problem keeps the stack from running.
    """

    text: str
    fix: str = ""
    fatal: bool = True

    def __str__(self) -> str:
        if not self.fix:
            return f"  ok    {self.text}"
        return f"  {'FAIL' if self.fatal else 'warn'}  {self.text}\n        → {self.fix}"
