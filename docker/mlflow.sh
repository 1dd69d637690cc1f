#!/bin/sh
# The MLflow server: runs in PostgreSQL, artifacts through the server, users with passwords.
set -eu
database="postgresql+psycopg://mlflow:$MLFLOW_PASSWORD@$POSTGRES_HOST:$POSTGRES_PORT"
config=$(mktemp)
cat > "$config" <<INI
[mlflow]
default_permission = ${MLFLOW_DEFAULT_PERMISSION:-EDIT}
database_uri = $database/mlflow_users
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
# A password is hashed for each request otherwise; changes reach other workers within a minute.
auth_cache_ttl_seconds = 60
INI
export MLFLOW_AUTH_CONFIG_PATH="$config"
# Doors that comparing runs does not need.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_ENABLE_AI_GATEWAY=false
export MLFLOW_ENABLE_REMOTE_ASSISTANT=false MLFLOW_ENABLE_ASSISTANT_SANDBOX=true
# In the environment, not on the command line, which every process of a machine may read.
export MLFLOW_BACKEND_STORE_URI="$database/mlflow"
exec mlflow server --app-name basic-auth \
    --artifacts-destination "$MLFLOW_ARTIFACTS" --host "$MLFLOW_HOST" --port "$MLFLOW_PORT" \
    --workers "${MLFLOW_WORKERS:-2}" \
    --allowed-hosts "$MLFLOW_ALLOWED_HOSTS${MLFLOW_MORE_HOSTS:+,$MLFLOW_MORE_HOSTS}" \
    --uvicorn-opts '--log-level warning'
