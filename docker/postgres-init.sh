#!/bin/sh
# Run once, in an empty database folder: a role and databases for MLflow, and for the studies.
set -eu
for name in mlflow optuna; do
    psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
        --set "name=$name" --set "password=$(cat "$SECRETS/${name}_password")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
done
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --command 'CREATE DATABASE mlflow_users OWNER mlflow'
