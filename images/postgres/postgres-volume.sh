#!/bin/sh
# Fail with a message of one line if the volume was written by another major version of PostgreSQL than this image's, or
# by a restore that was interrupted.
set -eu

version="${PGDATA:?is not set}/PG_VERSION"
[ -f "$version" ] || exit 0 # a new volume
if [ -e "$PGDATA/restoring" ]; then
    echo "A restore into this volume was interrupted: docs/how-to/backup.md says how to begin again." >&2
    exit 1
fi
read -r found < "$version"
[ "$found" = "$PG_MAJOR" ] && exit 0
echo "The volume holds data of PostgreSQL $found, this image is PostgreSQL $PG_MAJOR: docs/how-to/compose.md says how to move it." >&2
exit 1
