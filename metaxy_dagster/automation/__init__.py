"""Runs by themselves: conditions, sensors and schedules that ask for pending samples."""
