"""Report -> text: one pure module a format. A renderer sees a report and nothing else."""
