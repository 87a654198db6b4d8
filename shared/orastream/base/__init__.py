"""What everything stands on: tasks, waiting times, an event, the logger. Imports nothing of ours."""
