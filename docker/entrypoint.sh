#!/bin/sh
# Take secrets from files: NAME_FILE names a file whose content becomes NAME for the command alone.
set -eu
for variable in $(env | sed -n 's/^\([A-Z][A-Z0-9_]*\)_FILE=.*/\1/p'); do
    eval "file=\$${variable}_FILE"
    if [ ! -s "$file" ]; then
        echo "entrypoint: ${variable}_FILE=$file: expected a file with the secret; see .env.example" >&2
        exit 2
    fi
    export "$variable=$(cat "$file")"
    unset "${variable}_FILE"
done
exec "$@"
