"""Dataframe algebra that does not know what a feature is: functions of lazy frames."""
