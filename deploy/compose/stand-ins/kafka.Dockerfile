# A stand-in for the official apache/kafka image: configured by the same variables, through the same class.
ARG BASE
FROM ${BASE}
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends openjdk-17-jre-headless >/dev/null \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --user-group --create-home --shell /bin/bash appuser \
    && mkdir -p /opt/kafka/config /opt/kafka/logs /etc/kafka/docker /mnt/shared/config /var/lib/kafka/data \
    && chown -R appuser:appuser /opt/kafka /var/lib/kafka
COPY libs /opt/kafka/libs
COPY log4j2.properties /opt/kafka/log4j2.properties
COPY kafka-run.sh /etc/kafka/docker/run
# The recipe of the official image: a default that makes a single node start without further words.
ENV CLUSTER_ID=5L6g3nShT-eMCtK--X86sw
USER appuser
EXPOSE 9092
VOLUME ["/var/lib/kafka/data"]
CMD ["/etc/kafka/docker/run"]
