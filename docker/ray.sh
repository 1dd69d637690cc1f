#!/bin/sh
# A node of the Ray cluster: `ray.sh head`, `ray.sh worker`, or `ray.sh driver COMMAND...`, which
# joins without processors of its own and runs a command that drives the cluster; those of `tauopt`
# that only look at what is on record, or ask a driver for something, need no node and wait for none.
set -eu
case "$1" in
head)
    exec ray start --head --block --disable-usage-stats --include-dashboard=false \
        --node-ip-address "$RAY_NODE_IP" --port "$RAY_PORT" --num-cpus 0 \
        --object-store-memory "${RAY_OBJECT_STORE_BYTES:-104857600}"
    ;;
worker)
    exec ray start --block --disable-usage-stats --address "$RAY_HOST:$RAY_PORT" \
        ${RAY_NODE_IP:+--node-ip-address "$RAY_NODE_IP"} ${RAY_CPUS:+--num-cpus "$RAY_CPUS"} \
        --object-store-memory "${RAY_OBJECT_STORE_BYTES:-104857600}"
    ;;
driver)
    shift
    case "${2:-}" in
    status | stop | leaderboard | report | compare | sync | ui | schema | models) ;;
    *)
        ray start --disable-usage-stats --address "$RAY_HOST:$RAY_PORT" \
            ${RAY_NODE_IP:+--node-ip-address "$RAY_NODE_IP"} --num-cpus 0 \
            --object-store-memory "${RAY_OBJECT_STORE_BYTES:-104857600}" > /dev/null
        ;;
    esac
    if [ -z "${TAUOPT_STORAGE:-}" ]; then
        export TAUOPT_STORAGE="postgresql+psycopg://optuna:$OPTUNA_PASSWORD@$POSTGRES_HOST:$POSTGRES_PORT/optuna"
    fi
    export RAY_ADDRESS="$RAY_HOST:$RAY_PORT"
    exec "$@"
    ;;
*)
    echo "ray.sh: expected head, worker or driver, got '$1'" >&2
    exit 2
    ;;
esac
