"""Kibana content: definitions of views, dashboards and access in; API objects, files and an applied Kibana out."""
