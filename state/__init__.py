"""What the wizard remembers: answers, runs, events, snapshots and observations, in one SQLite file."""
