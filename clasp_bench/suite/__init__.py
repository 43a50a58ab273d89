"""Plans of many runs, their executors, and the record each run leaves."""
