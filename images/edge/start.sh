#!/bin/sh
# Run Caddy with the password as a hash, and decide whether the prediction service needs the login.
set -eu
# By standard input, because every user of the machine sees command lines.
EDGE_PASSWORD_HASH=$(echo "$EDGE_PASSWORD" | caddy hash-password)
EDGE_LOGIN_OF_API='*'
[ -z "$EDGE_API_KEYS" ] || EDGE_LOGIN_OF_API=/metrics # its clients have keys
unset EDGE_PASSWORD EDGE_API_KEYS
export EDGE_PASSWORD_HASH EDGE_LOGIN_OF_API
exec caddy run --config /etc/edge/Caddyfile --adapter caddyfile
