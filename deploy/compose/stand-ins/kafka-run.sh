#!/usr/bin/env bash
# KAFKA_* variables become server.properties and the data folder is formatted; then the broker runs.
set -euo pipefail
java=(java -Djava.awt.headless=true -Dlog4j2.configurationFile=/opt/kafka/log4j2.properties -cp '/opt/kafka/libs/*')
"${java[@]}" kafka.docker.KafkaDockerWrapper setup \
    --default-configs-dir /etc/kafka/docker --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config
exec "${java[@]}" ${KAFKA_HEAP_OPTS:--Xms64m -Xmx512m} -XX:+UseSerialGC kafka.Kafka /opt/kafka/config/server.properties
