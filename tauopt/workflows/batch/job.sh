#!/bin/bash
# One node of the search @NAME@, written by `tauopt submit`:
#   job.sh NODE JOB     node 0 drives and trains, others train; JOB is the same on all nodes of a job
# On SIGTERM, node 0 stops the search without losses and exits with 143; run again, it resumes.
set -eu
node=$1 job=$2
here=@FOLDER@
. "$here/environment"
address_file="$here/address.$job" done_file="$here/done.$job"
ip=${RAY_NODE_IP:-$(hostname -I | cut -d ' ' -f 1)}
offered=(--num-cpus @CPUS@ --num-gpus @GPUS@)
inside=(@INSIDE@)
ray=

start_ray() { # in the background; its process id is in $ray
    "${inside[@]}" ray start --block --disable-usage-stats --node-ip-address "$ip" "${offered[@]}" "$@" \
        > "$here/ray.$job.$node.log" 2>&1 &
    ray=$!
}

clean() {
    [ -z "$ray" ] || kill "$ray" 2> /dev/null || true
    wait
    rm -rf ${scratch:+"$scratch"}
}

if [ "$node" != 0 ]; then
    trap 'clean; exit 0' TERM
    trap clean EXIT
    # The driver may move to another node, which has another address.
    until [ -e "$done_file" ]; do
        if [ -e "$address_file" ]; then
            start_ray --address "$(cat "$address_file")"
            while kill -0 "$ray" 2> /dev/null && [ ! -e "$done_file" ]; do
                sleep 5 &
                wait $!
            done
        fi
        sleep 5 &
        wait $! # a trap runs at once during wait, but not during sleep
    done
    exit 0
fi

rm -f "$done_file"
scratch=$(mktemp -d /tmp/tauopt.XXXXXX) # Ray's sockets need a short path
port=$((20000 + RANDOM % 20000))
start_ray --head --port "$port" --include-dashboard=false --temp-dir "$scratch"
trap clean EXIT
until "${inside[@]}" ray health-check --address "$ip:$port" > /dev/null 2>&1; do
    kill -0 "$ray" || { cat "$here/ray.$job.$node.log" >&2; exit 4; }
    sleep 1
done
echo "$ip:$port" > "$address_file.new"
mv "$address_file.new" "$address_file"

if [ -e @RECORD@ ]; then
    "${inside[@]}" tauopt resume @RESUME@ --ray-address "$ip:$port" &
else
    "${inside[@]}" tauopt search @SEARCH@ --ray-address "$ip:$port" &
fi
driver=$!
trap 'kill -TERM "$driver" 2> /dev/null || true' TERM
code=0
wait "$driver" || code=$?
while kill -0 "$driver" 2> /dev/null; do # a signal has interrupted wait: wait again
    code=0
    wait "$driver" || code=$?
done
rm -f "$address_file"
[ "$code" = 143 ] || touch "$done_file"
exit "$code"
