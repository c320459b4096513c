"""Real servers that a process owns: PostgreSQL, and Kafka for development.

from timeoff.embedded.postgres import PostgresServer
from timeoff.embedded.kafka import KafkaBroker, KafkaUnavailable
"""
