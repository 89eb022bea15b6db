"""Changes that findings propose: as a diff to look at, and made so that a kill leaves the old state or the new one."""
