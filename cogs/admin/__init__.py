"""`/admin`: what a server's admins decide; one file for each group of commands."""

from cogs.admin import (
    access,
    approvals,
    audit,
    doctor,
    limit_list,
    limits,
    notices,
    pause,
    report,
    rights,
    tasks,
)

__all__ = [
    "access",
    "approvals",
    "audit",
    "doctor",
    "limit_list",
    "limits",
    "notices",
    "pause",
    "report",
    "rights",
    "tasks",
]
