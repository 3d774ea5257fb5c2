"""The results of runs in a session: their records, their companions, what is logged and saved."""
