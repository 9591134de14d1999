#!/bin/sh
# Run Caddy with the login as browsers send it, and decide whether the prediction service needs it.
set -eu
EDGE_LOGIN=$(printf 'penguins:%s' "$EDGE_PASSWORD" | base64 | tr -d '\n')
EDGE_LOGIN_OF_API='*'
[ -z "$EDGE_API_KEYS" ] || EDGE_LOGIN_OF_API=/metrics # its clients have keys
unset EDGE_PASSWORD EDGE_API_KEYS
export EDGE_LOGIN EDGE_LOGIN_OF_API
exec caddy run --config /etc/edge/Caddyfile --adapter caddyfile
