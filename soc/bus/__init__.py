"""The bus: topics of keyed records between the workers, in Kafka's shape."""
