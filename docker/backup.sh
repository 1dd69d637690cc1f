#!/bin/sh
# Copy the databases and the artifacts into one folder, named after the moment; whole or not at all.
set -eu
moment=$(date -u +%Y%m%dT%H%M%SZ)
folder="$BACKUPS/$moment"
mkdir "$folder.part"
for name in mlflow mlflow_users optuna; do
    role=${name%_users}
    eval "password=\$$(echo "$role" | tr a-z A-Z)_PASSWORD"
    PGPASSWORD="$password" pg_dump --host "$POSTGRES_HOST" --port "$POSTGRES_PORT" --username "$role" \
        --format custom --file "$folder.part/$name.dump" "$name"
done
tar -C "$MLFLOW_ARTIFACTS" -czf "$folder.part/artifacts.tar.gz" .
(cd "$folder.part" && sha256sum ./* > SHA256SUMS)
mv "$folder.part" "$folder"
echo "$folder"
