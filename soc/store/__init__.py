"""The store: events, alerts, rejected records and the workers' state, kept and queried."""
