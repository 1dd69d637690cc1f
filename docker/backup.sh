#!/bin/sh
# Copy databases, artifacts and the records of searches into one folder, named after the moment;
# whole or not at all. The services may run: what is copied first is never newer than the rest.
set -eu
moment=$(date -u +%Y%m%dT%H%M%SZ)
folder="$BACKUPS/$moment"
mkdir "$folder.part"
mkdir -p "$TAUOPT_OUTPUT" "$MLFLOW_ARTIFACTS"
trap 'rm -rf "$folder.part"' EXIT
dump() {
    PGPASSWORD="$2" pg_dump --host "$POSTGRES_HOST" --port "$POSTGRES_PORT" --username "$1" \
        --format custom --file "$folder.part/$3.dump" "$3"
}
dump optuna "$OPTUNA_PASSWORD" optuna
# A file that grows while it is read is one of a search that runs: its last line may be torn.
tar -C "$TAUOPT_OUTPUT" -czf "$folder.part/output.tar.gz" . || [ $? = 1 ]
dump mlflow "$MLFLOW_PASSWORD" mlflow
dump mlflow "$MLFLOW_PASSWORD" mlflow_users
tar -C "$MLFLOW_ARTIFACTS" -czf "$folder.part/artifacts.tar.gz" . || [ $? = 1 ]
(cd "$folder.part" && sha256sum -- *.dump *.tar.gz > SHA256SUMS)
sync
mv "$folder.part" "$folder"
trap - EXIT
echo "$folder"
