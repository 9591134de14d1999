#!/bin/sh
# Creates the roles, databases and tables of the stack. Safe to run again: what exists is kept,
# passwords and grants are brought up to date.
#
# Connects as a superuser through the usual PGHOST, PGPORT, PGUSER and PGPASSWORD; the passwords of
# the roles come from AIRFLOW_DB_PASSWORD, MLFLOW_DB_PASSWORD, PENGUINS_DB_PASSWORD and SHIPPER_DB_PASSWORD.
# PENGUINS_LOG_RETENTION_DAYS says for how long the prediction log is kept.
set -eu

: "${AIRFLOW_DB_PASSWORD:?is not set}" "${MLFLOW_DB_PASSWORD:?is not set}" "${PENGUINS_DB_PASSWORD:?is not set}"
: "${SHIPPER_DB_PASSWORD:?is not set}" "${PENGUINS_LOG_RETENTION_DAYS:?is not set}"
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

sql() {
    psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 "$@"
}

version=$(sed -n '/^version = /{s/.*"\(.*\)".*/\1/p;q;}' "$here/../pyproject.toml")
read_out() {
    sql --tuples-only --no-align --set=version="$version" "$@"
}

found=$(read_out --dbname=postgres --file="$here/00-version.sql")
case $found in
    newer*)
        echo "the databases were changed by version ${found#newer } of the project, and this is $version:" \
            "use ${found#newer } or a newer one" >&2
        exit 1
        ;;
    older*)
        before=$(read_out --dbname=penguins --file="$here/upgrade-look.sql")
        sql --dbname=postgres --set=from="${found#older }" --set=before="$before" --file="$here/upgrade-begin.sql"
        ;;
esac

sql --dbname=postgres --file="$here/01-roles.sql"
sql --dbname=postgres --set=version="$version" --file="$here/02-databases.sql"
for role in airflow mlflow penguins; do
    sql --dbname="$role" --set=role="$role" --file="$here/02-schemas.sql"
done
# Logged in as the role itself: a superuser's session under SET ROLE could be turned back by what the role has made.
PGPASSWORD="$PENGUINS_DB_PASSWORD" sql --username=penguins --dbname=penguins --file="$here/03-tables.sql"
sql --dbname=penguins --file="$here/04-audit.sql"
sql --dbname=penguins --file="$here/05-records.sql"
sql --dbname=penguins --file="$here/06-log.sql"
sql --dbname=penguins --file="$here/07-monitoring.sql"

case $found in
    older*)
        after=$(read_out --dbname=penguins --file="$here/upgrade-look.sql")
        read_out --dbname=postgres --set=after="$after" --file="$here/upgrade-end.sql"
        ;;
esac
