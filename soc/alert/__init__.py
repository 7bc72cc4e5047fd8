"""Alerts: detections in; one document per rule, unit, entity and episode out, and what people decide about it."""
