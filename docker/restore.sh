#!/bin/sh
# Bring a folder of backup.sh back: `restore.sh MOMENT`. What is there now is replaced, so nobody may
# use it: stop the server and the searches first. Checked before anything is touched; each database
# is replaced whole or not at all; the files that were there stay beside, named `before-...`.
set -eu
folder="$BACKUPS/${1:?expected the moment of a backup, one of: $(ls "$BACKUPS" | tr '\n' ' ')}"
if [ ! -s "$folder/SHA256SUMS" ]; then
    echo "restore.sh: $folder is no backup; there are: $(ls "$BACKUPS" | tr '\n' ' ')" >&2
    exit 2
fi
(cd "$folder" && sha256sum -c SHA256SUMS) >&2 # names the file that has changed
used=$(PGPASSWORD="$MLFLOW_PASSWORD" psql --host "$POSTGRES_HOST" --port "$POSTGRES_PORT" \
    --username mlflow --dbname mlflow_users --tuples-only --no-align --command \
    "SELECT count(*) FROM pg_stat_activity WHERE datname IN ('mlflow', 'mlflow_users', 'optuna')
     AND pid <> pg_backend_pid()")
if [ "$used" != 0 ]; then
    echo "restore.sh: the databases are in use ($used connections): docker compose stop mlflow" \
        "dashboard, and stop the searches" >&2
    exit 4
fi
load() {
    PGPASSWORD="$2" pg_restore --host "$POSTGRES_HOST" --port "$POSTGRES_PORT" --username "$1" \
        --dbname "$3" --clean --if-exists --no-owner --exit-on-error --single-transaction \
        "$folder/$3.dump"
}
unpack() {
    rm -rf "$1.new"
    mkdir "$1.new"
    tar -C "$1.new" -xzf "$folder/$2"
}
put() {
    [ ! -e "$1" ] || mv "$1" "$(dirname "$1")/before-$(date -u +%Y%m%dT%H%M%SZ)-$(basename "$1")"
    mv "$1.new" "$1"
}
# Files first, beside those that are there: what a full disk ends has replaced nothing.
unpack "$TAUOPT_OUTPUT" output.tar.gz
unpack "$MLFLOW_ARTIFACTS" artifacts.tar.gz
load optuna "$OPTUNA_PASSWORD" optuna
load mlflow "$MLFLOW_PASSWORD" mlflow
load mlflow "$MLFLOW_PASSWORD" mlflow_users
put "$TAUOPT_OUTPUT"
put "$MLFLOW_ARTIFACTS"
echo "$folder"
